//! Against a server on loopback that misbehaves as told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bringup_core::ids::Sha256;
use bringup_core::run::fault::Cause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What the server does with a request: its head is given, and how many there were before.
type Play = dyn Fn(&str, usize) -> (Vec<u8>, bool) + Send + Sync;

struct Server {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

/// Serves until the test ends. The second half of what `play` gives says whether the connection then hangs.
async fn serve(play: impl Fn(&str, usize) -> (Vec<u8>, bool) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/image.img", listener.local_addr().unwrap());
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let (seen, play): (_, Arc<Play>) = (Arc::clone(&heads), Arc::new(play));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).await.unwrap() == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let (answer, hangs) = {
                let mut seen = seen.lock().unwrap();
                seen.push(head.clone());
                play(&head, seen.len() - 1)
            };
            let _ = stream.write_all(&answer).await;
            if hangs {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    drop(stream);
                });
            }
        }
    });
    Server { url, heads }
}

fn bytes() -> Vec<u8> {
    (0..300_000u32).flat_map(u32::to_le_bytes).collect()
}

fn whole(bytes: &[u8], more: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"one\"\r\n{more}\r\n", bytes.len());
    [head.as_bytes(), bytes].concat()
}

fn rest(bytes: &[u8], head: &str) -> Option<Vec<u8>> {
    let from: usize = head.split("range: bytes=").nth(1)?.split('-').next()?.parse().ok()?;
    let all = bytes.len();
    let answer = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{all}\r\nETag: \"one\"\r\n\r\n",
        all - from,
        all - 1
    );
    Some([answer.as_bytes(), &bytes[from..]].concat())
}

struct Here {
    directory: tempfile::TempDir,
    sha256: Sha256,
}

impl Here {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), sha256: Sha256::of(bytes()) }
    }

    fn parts(&self) -> PathBuf {
        self.directory.path().join("parts")
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("cache/image.img")
    }

    async fn fetch(&self, url: &str) -> Result<(), WebError> {
        self.fetch_at_most(url, Some(self.sha256), LONGEST_FILE).await
    }

    async fn fetch_at_most(&self, url: &str, sha256: Option<Sha256>, longest: u64) -> Result<(), WebError> {
        let (path, parts) = (self.path(), self.parts());
        let fetch = Fetch {
            url,
            sha256,
            member: None,
            path: &path,
            parts: &parts,
            longest,
            mode: 0o644,
            stall: Duration::from_millis(400),
            heard: None,
        };
        super::fetch(&fetch, &|_, _| {}).await
    }

    fn left(&self) -> Vec<String> {
        let directories = [self.path().parent().unwrap().to_path_buf(), self.parts()];
        let entries = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn it_comes_whole_with_progress_and_leaves_nothing_else() {
    let here = Here::new();
    let server = serve(|_, _| (whole(&bytes(), ""), false)).await;
    let (last, path, parts) = (AtomicU64::new(0), here.path(), here.parts());
    let fetch = Fetch {
        url: &server.url,
        sha256: None,
        member: None,
        path: &path,
        parts: &parts,
        longest: LONGEST_FILE,
        mode: 0o755,
        stall: Duration::from_secs(5),
        heard: None,
    };
    let told = |done, total| {
        assert_eq!(total, 1_200_000);
        last.store(done, Ordering::Relaxed);
    };
    super::fetch(&fetch, &told).await.unwrap();
    assert_eq!(last.load(Ordering::Relaxed), 1_200_000);
    assert_eq!(fs::read(&path).unwrap(), bytes());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(here.left(), ["image.img"]);
}

#[tokio::test]
async fn what_broke_off_is_gone_on_with() {
    let here = Here::new();
    let server = serve(|head, number| match number {
        0 => (whole(&bytes(), "")[..700_000].to_vec(), false),
        _ => (rest(&bytes(), head).expect("a range is asked for"), false),
    })
    .await;
    let broken = here.fetch(&server.url).await.unwrap_err();
    assert!(matches!(broken, WebError::Lost(_)), "{broken:?}");
    assert!(broken.fault("fetch it").cause.is_passing());
    assert!(!here.path().exists());
    here.fetch(&server.url).await.unwrap();
    assert_eq!(fs::read(here.path()).unwrap(), bytes());
    assert_eq!(here.left(), ["image.img"]);
    let heads = server.heads.lock().unwrap();
    assert_eq!(heads.len(), 2);
    assert!(heads[1].contains("if-range: \"one\""), "{}", heads[1]);
}

#[tokio::test]
async fn another_file_under_the_address_comes_from_its_beginning() {
    let here = Here::new();
    let server = serve(|_, number| match number {
        0 => (whole(&vec![9; 1_200_000], "")[..700_000].to_vec(), false),
        _ => (whole(&bytes(), ""), false),
    })
    .await;
    here.fetch(&server.url).await.unwrap_err();
    here.fetch(&server.url).await.unwrap();
    assert_eq!(fs::read(here.path()).unwrap(), bytes());
}

#[tokio::test]
async fn halves_of_two_files_are_found_out_and_begun_anew() {
    let here = Here::new();
    let server = serve(|head, number| match number {
        0 => (whole(&vec![9; 1_200_000], "")[..700_000].to_vec(), false),
        1 => (rest(&bytes(), head).unwrap(), false),
        _ => (whole(&bytes(), ""), false),
    })
    .await;
    here.fetch(&server.url).await.unwrap_err();
    here.fetch(&server.url).await.unwrap();
    assert_eq!(fs::read(here.path()).unwrap(), bytes());
    assert_eq!(server.heads.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_mismatch_names_both_sums_and_leaves_what_was_in_place() {
    let here = Here::new();
    let server = serve(|_, _| (whole(b"another image", ""), false)).await;
    fs::create_dir_all(here.path().parent().unwrap()).unwrap();
    fs::write(here.path(), b"the old one").unwrap();
    let fault = here.fetch(&server.url).await.unwrap_err().fault("fetch it");
    assert_eq!(fault.cause, Cause::Mismatch);
    let said = fault.said.join("\n");
    assert!(
        said.contains(&here.sha256.to_string()) && said.contains(&Sha256::of("another image").to_string()),
        "{said}"
    );
    assert_eq!(fs::read(here.path()).unwrap(), b"the old one");
    assert_eq!(here.left(), ["image.img"]);
}

#[tokio::test]
async fn who_says_nothing_any_more_is_not_waited_for() {
    let here = Here::new();
    let server = serve(|_, _| (whole(&bytes(), "")[..700_000].to_vec(), true)).await;
    let began = std::time::Instant::now();
    let stalled = here.fetch(&server.url).await.unwrap_err();
    assert!(matches!(stalled, WebError::Stalled(_)), "{stalled:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(stalled.fault("fetch it").cause, Cause::Silent);
}

#[tokio::test]
async fn answers_that_are_no_file() {
    let here = Here::new();
    for (answer, cause) in [
        ("HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nno!\n", Cause::Passing),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Cause::Failed),
        ("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", Cause::Failed),
        ("HTTP/1.1 302 Found\r\nLocation: /image.img\r\nContent-Length: 0\r\n\r\n", Cause::Failed),
        ("SSH-2.0-OpenSSH_9.7\r\n", Cause::Lost),
        ("", Cause::Lost),
    ] {
        let server = serve(move |_, _| (answer.as_bytes().to_vec(), false)).await;
        let fault = here.fetch(&server.url).await.unwrap_err().fault("fetch it");
        assert_eq!(fault.cause, cause, "{answer:?}: {fault:?}");
        assert!(!here.path().exists());
    }
    let nobody = here.fetch("http://127.0.0.1:9/x").await.unwrap_err().fault("fetch it");
    assert_eq!(nobody.cause, Cause::Unreachable);
    let unknown = here.fetch("https://mirror.invalid/x").await.unwrap_err().fault("fetch it");
    assert!(unknown.cause.is_passing() && unknown.next.is_some(), "{unknown:?}");
}

#[tokio::test]
async fn what_is_longer_than_anything_of_its_kind_is_not_kept() {
    let here = Here::new();
    // One says how long it is, one does not.
    let unsaid = |bytes: &[u8]| [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", bytes].concat();
    let longest = bytes().len() as u64 - 1;
    for said in [true, false] {
        let server = serve(move |_, _| (if said { whole(&bytes(), "") } else { unsaid(&bytes()) }, false)).await;
        let trouble = here.fetch_at_most(&server.url, Some(here.sha256), longest).await.unwrap_err();
        assert!(matches!(trouble, WebError::TooLong { .. }), "{trouble:?}");
        assert!(here.left().is_empty(), "{:?}", here.left());
    }
    let source = here.directory.path().join("own.img");
    fs::write(&source, bytes()).unwrap();
    let trouble = here.fetch_at_most(source.to_str().unwrap(), None, longest).await.unwrap_err();
    assert!(matches!(trouble, WebError::TooLong { .. }), "{trouble:?}");
    assert!(!here.path().exists());
}

#[tokio::test]
async fn from_a_path_and_only_one_at_a_time() {
    let here = Here::new();
    let source = here.directory.path().join("own image.img");
    fs::write(&source, bytes()).unwrap();
    here.fetch(&format!("file://{}", source.to_str().unwrap().replace(' ', "%20"))).await.unwrap();
    assert_eq!(fs::read(here.path()).unwrap(), bytes());
    here.fetch(source.to_str().unwrap()).await.unwrap();
    let (path, parts) = (here.path(), here.parts());
    let fetch = Fetch {
        url: source.to_str().unwrap(),
        sha256: Some(here.sha256),
        member: None,
        path: &path,
        parts: &parts,
        longest: LONGEST_FILE,
        mode: 0o644,
        stall: STALL_BOUND,
        heard: None,
    };
    let held = Part::open(&Place::of(&fetch).unwrap().part, None).await.unwrap();
    let busy = here.fetch(source.to_str().unwrap()).await.unwrap_err();
    assert!(matches!(busy, WebError::Busy(_)), "{busy:?}");
    drop(held);
    assert!(matches!(here.fetch("/nowhere/x").await.unwrap_err(), WebError::Local(..)));
}

#[tokio::test]
async fn one_file_of_an_archive() {
    let here = Here::new();
    let archive = here.directory.path().join("tool.tar.gz");
    let gzip = flate2::write::GzEncoder::new(fs::File::create(&archive).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, text) in [("linux-amd64/helm.md", "no"), ("./linux-amd64/helm", "the tool")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    let (path, parts, sum) = (here.path(), here.parts(), Sha256::of(fs::read(&archive).unwrap()));
    let fetch = Fetch {
        url: archive.to_str().unwrap(),
        sha256: Some(sum),
        member: Some("linux-amd64/helm"),
        path: &path,
        parts: &parts,
        longest: LONGEST_FILE,
        mode: 0o755,
        stall: STALL_BOUND,
        heard: None,
    };
    super::fetch(&fetch, &|_, _| {}).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "the tool");
    assert_eq!(here.left(), ["image.img"]);
    for member in ["../linux-amd64/helm", "linux-amd64", "helm"] {
        let missing = super::fetch(&Fetch { member: Some(member), ..fetch }, &|_, _| {}).await.unwrap_err();
        assert!(matches!(missing, WebError::Archive(_)), "{missing:?}");
    }
    assert_eq!(here.left(), ["image.img"]);
}

#[tokio::test]
async fn only_what_was_proved_is_recorded() {
    let server = serve(|_, _| (whole(&bytes(), ""), false)).await;
    let directory = tempfile::tempdir().unwrap();
    let (path, local) = (directory.path().join("script"), directory.path().join("local"));
    fs::write(&local, bytes()).unwrap();
    let sum = Sha256::of(bytes());
    let (web, disk) = (server.url.clone(), format!("file://{}", local.display()));
    for (url, sha256, is_recorded) in [
        (&web, Some(sum), true),
        (&web, None, false),
        (&disk, None, true),
        (&web, None, false),
        (&disk, Some(sum), true),
    ] {
        let order = Fetch {
            url,
            sha256,
            member: None,
            path: &path,
            parts: directory.path(),
            longest: LONGEST_FILE,
            mode: 0o755,
            stall: Duration::from_millis(400),
            heard: None,
        };
        super::fetch(&order, &|_, _| {}).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes());
        let recorded = fetched::fetched_sum(&path, url).unwrap();
        assert_eq!(recorded, is_recorded.then_some(sum), "{url} {sha256:?}");
    }
}
