//! Against a server on loopback that gives its bytes when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};

use bringup_core::ids::Sha256;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

fn bytes() -> Vec<u8> {
    (0..300_000u32).flat_map(u32::to_le_bytes).collect()
}

/// Serves one file of `length` bytes to each who asks, in the pieces that are sent. Gives its address and how many asked.
async fn serve(length: usize) -> (String, mpsc::UnboundedSender<Vec<u8>>, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/image.img", listener.local_addr().unwrap());
    let (give, mut pieces) = mpsc::unbounded_channel::<Vec<u8>>();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            count.fetch_add(1, Ordering::Relaxed);
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await.unwrap();
            while let Some(piece) = pieces.recv().await {
                if piece.is_empty() || stream.write_all(&piece).await.is_err() {
                    break;
                }
            }
        }
    });
    (url, give, asked)
}

struct Here {
    directory: tempfile::TempDir,
    arrivals: Arrivals,
}

impl Here {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { arrivals: Arrivals::new(directory.path().to_path_buf()), directory }
    }

    fn of(&self, url: &str, sha256: Sha256) -> Arc<Arrival> {
        self.arrivals.of(url, sha256, self.path().to_str().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("image.img")
    }
}

async fn all(arrival: &Arrival, from: u64) -> Result<Vec<u8>, Broken> {
    let (mut to, mut source) = tokio::io::duplex(1000);
    let mut got = Vec::new();
    let (handed, _) = tokio::join!(async move { arrival.hand_on(from, &mut to).await }, source.read_to_end(&mut got));
    handed.map(|()| got)
}

#[tokio::test]
async fn it_is_read_while_it_comes_by_all_and_asked_for_once() {
    let (here, bytes) = (Here::new(), bytes());
    let (url, give, asked) = serve(bytes.len()).await;
    let sha256 = Sha256::of(&bytes);
    give.send(bytes[..100_000].to_vec()).unwrap();
    let (one, other) = (here.of(&url, sha256), here.of(&url, sha256));
    assert_eq!(one.total().await.unwrap(), bytes.len() as u64);
    let (mut to, mut source) = tokio::io::duplex(1000);
    let reading = tokio::spawn({
        let one = Arc::clone(&one);
        async move { one.hand_on(0, &mut to).await }
    });
    let mut first = vec![0; 100_000];
    source.read_exact(&mut first).await.unwrap();
    assert_eq!(first, bytes[..100_000], "what came is handed on before the rest is there");
    assert!(!here.path().exists());
    give.send(bytes[100_000..].to_vec()).unwrap();
    let mut rest = Vec::new();
    source.read_to_end(&mut rest).await.unwrap();
    reading.await.unwrap().unwrap();
    assert_eq!(rest, bytes[100_000..]);
    assert_eq!(all(&other, 200_000).await.unwrap(), bytes[200_000..]);
    other.whole().await.unwrap();
    drop((one, other));
    // Whoever comes later reads what is there.
    assert_eq!(all(&here.of(&url, sha256), 0).await.unwrap(), bytes);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_is_not_what_was_asked_for_has_no_end() {
    let (here, bytes) = (Here::new(), bytes());
    let (url, give, _) = serve(bytes.len()).await;
    give.send(bytes.clone()).unwrap();
    give.send(Vec::new()).unwrap();
    let arrival = here.of(&url, Sha256::of("another"));
    let (mut to, mut source) = tokio::io::duplex(bytes.len() + 1);
    let broken = arrival.hand_on(0, &mut to).await.unwrap_err();
    assert!(matches!(&broken, Broken::Fetch(why) if matches!(**why, WebError::Mismatch { .. })), "{broken:?}");
    assert!(arrival.whole().await.is_err());
    // How much of it was handed on before it was known to be another file is a matter of luck.
    drop(to);
    let mut got = Vec::new();
    source.read_to_end(&mut got).await.unwrap();
    assert!(bytes.starts_with(&got), "{} bytes", got.len());
    assert!(!here.path().exists());
    // And the next one tries again.
    give.send(bytes.clone()).unwrap();
    assert_eq!(all(&here.of(&url, Sha256::of(&bytes)), 0).await.unwrap(), bytes);
}

#[tokio::test]
async fn it_is_fetched_only_while_somebody_wants_it_and_gone_on_with() {
    let (here, bytes) = (Here::new(), bytes());
    let (url, give, asked) = serve(bytes.len()).await;
    give.send(bytes[..50_000].to_vec()).unwrap();
    let sha256 = Sha256::of(&bytes);
    let arrival = here.of(&url, sha256);
    let mut coming = arrival.coming.clone();
    coming.wait_for(|coming| coming.length == 50_000).await.unwrap();
    drop(arrival);
    coming.changed().await.unwrap_err();
    give.send(Vec::new()).unwrap();
    give.send(bytes.clone()).unwrap();
    assert_eq!(all(&here.of(&url, sha256), 0).await.unwrap(), bytes);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
