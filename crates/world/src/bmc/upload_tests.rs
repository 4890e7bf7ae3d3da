use bringup_core::digest::sha256_hex;
use http_body_util::BodyExt;

use super::*;
use crate::image::samples;

/// What the other side is given: all of it, or why it broke off.
async fn given(file: &[u8], change: impl Fn(&mut Sending)) -> Result<(u64, Vec<u8>), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    std::fs::write(&path, file).unwrap();
    let mut sending = Sending {
        path,
        name: "an \"odd\"\r\nname.img".to_owned(),
        unpack: false,
        length: file.len() as u64,
        sha256: sha256_hex(file),
    };
    change(&mut sending);
    let (body, why) = Multipart::of(sending);
    let announced = body.size_hint().exact().unwrap();
    match body.collect().await {
        Ok(all) => Ok((announced, all.to_bytes().to_vec())),
        Err(error) => Err(why.lock().unwrap().clone().unwrap_or_else(|| error.to_string())),
    }
}

#[tokio::test]
async fn a_form_is_as_long_as_it_was_announced_and_holds_the_file() {
    let raw = samples::image(true);
    let packed = samples::xz(&raw);
    let cases = [
        given(&raw, |_| {}).await.unwrap(),
        given(&packed, |sending| (sending.unpack, sending.length) = (true, 3 << 20)).await.unwrap(),
    ];
    for (announced, form) in cases {
        assert_eq!(announced, form.len() as u64);
        let head = String::from_utf8_lossy(&form[..200]).into_owned();
        assert!(head.contains("name=\"file\"; filename=\"an oddname.img\"\r\n"), "{head}");
        let start = form.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert!(form[start..start + raw.len()] == raw[..], "the image comes as it is");
        assert!(form.ends_with(format!("\r\n--{BOUNDARY}--\r\n").as_bytes()));
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_it_should_be_is_never_sent_to_its_end() {
    let raw = samples::image(false);
    let packed = samples::xz(&raw);
    let other = given(&raw, |sending| sending.sha256 = "0".repeat(64)).await.unwrap_err();
    assert!(other.contains(&sha256_hex(&raw)) && other.contains(&"0".repeat(64)), "{other}");
    // One that unpacks to more than it said, by gigabytes or by a byte, and one that is cut off.
    let bomb = samples::bomb(64);
    let words = given(&bomb, |sending| (sending.unpack, sending.length) = (true, 1 << 20)).await.unwrap_err();
    assert!(words.contains("larger than"), "{words}");
    assert!(given(&packed, |sending| (sending.unpack, sending.length) = (true, (3 << 20) - 1)).await.is_err());
    let short = given(&packed, |sending| (sending.unpack, sending.length) = (true, (3 << 20) + 1)).await;
    assert!(short.is_err(), "one that unpacks to less");
    assert!(
        given(&packed[..packed.len() / 2], |sending| (sending.unpack, sending.length) = (true, 3 << 20)).await.is_err()
    );
    let gone = given(&raw, |sending| sending.path = "/nowhere/image".into()).await.unwrap_err();
    assert!(gone.contains("No such file"), "{gone}");
}
