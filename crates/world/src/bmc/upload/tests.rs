use std::time::Duration;

use bringup_core::ids::Sha256;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

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
        sha256: Sha256::of(file),
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
    let sum = Sha256::of("another");
    let other = given(&raw, |sending| sending.sha256 = sum).await.unwrap_err();
    assert!(other.contains(&Sha256::of(&raw).to_string()) && other.contains(&sum.to_string()), "{other}");
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

/// Uploads to a server that answers with this; what it got (`None`: it broke off), and what we think went wrong.
async fn uploaded(status: u16, answer: &'static str, sum: Option<Sha256>) -> (Option<(String, usize)>, Option<String>) {
    let directory = tempfile::tempdir().unwrap();
    let (path, raw) = (directory.path().join("image"), samples::image(true));
    std::fs::write(&path, &raw).unwrap();
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let service = service_fn(move |request: Request<Incoming>| {
        let tell = tell.lock().unwrap().take().unwrap();
        async move {
            let (head, body) = request.into_parts();
            let length = body.collect().await.map(|all| all.to_bytes().len());
            let length_told = head.headers["content-length"].to_str().unwrap().to_owned();
            let got = length.ok().map(|length| (format!("{} {} {length_told}", head.method, head.uri), length));
            tell.send(got).unwrap();
            Response::builder().status(status).body(Full::new(Bytes::from_static(answer.as_bytes())))
        }
    });
    let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), service);
    let server = tokio::spawn(async move {
        let _ = server.await;
    });
    let connection = Connection::over(ours).await.ok().unwrap();
    let sha256 = sum.unwrap_or_else(|| Sha256::of(&raw));
    let sending = Sending { path, name: "x.img".to_owned(), unpack: false, length: raw.len() as u64, sha256 };
    let upload = Upload::start(connection, 77, sending);
    let got = tokio::time::timeout(Duration::from_secs(20), told).await.unwrap().unwrap();
    let _ = tokio::time::timeout(Duration::from_secs(20), server).await;
    while !upload.task.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (got, upload.trouble())
}

#[tokio::test]
async fn what_the_daemon_says_of_an_upload_is_kept() {
    let (got, trouble) = uploaded(200, "", None).await;
    let (head, length) = got.unwrap();
    assert_eq!(head, format!("POST /api/bmc/upload/77 {length}"));
    assert_eq!(trouble, None);
    let (got, trouble) = uploaded(500, "missing 626 kB bytes", None).await;
    assert!(got.is_some());
    assert_eq!(trouble.as_deref(), Some("missing 626 kB bytes"));
    let (got, trouble) = uploaded(200, "", Some(Sha256::of("another"))).await;
    assert_eq!(got, None, "it is not told that it has all");
    assert!(trouble.unwrap().contains("sha256"));
}
