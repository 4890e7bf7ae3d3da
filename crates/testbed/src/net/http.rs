//! A web server for files, as much of it as apt needs.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What is served: directories, by the first word of the path; the last one takes all the rest.
pub type Shelves = Vec<(String, PathBuf)>;

/// Serves what is in directories, for ever.
pub fn serve(listener: &TcpListener, shelves: Shelves) {
    let shelves = Arc::new(shelves);
    for stream in listener.incoming().flatten() {
        let shelves = Arc::clone(&shelves);
        // A connection that breaks is its client's to make again.
        thread::spawn(move || drop(talk(&stream, &shelves)));
    }
}

fn talk(stream: &TcpStream, shelves: &Shelves) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    // apt sends several requests at once and reads the answers in order.
    while let Some(request) = request(&mut reader)? {
        let body = Body::find(shelves, &request);
        let connection = if request.last { "Connection: close\r\n" } else { "" };
        let head =
            format!("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}{connection}\r\n", body.status, body.length, body.header);
        writer.write_all(head.as_bytes())?;
        if let Some(mut file) = body.file.filter(|_| !request.head_only) {
            file.seek(SeekFrom::Start(body.begins))?;
            std::io::copy(&mut file.take(body.length), &mut writer)?;
        }
        if request.last {
            break;
        }
    }
    Ok(())
}

/// What goes back: a part of a file, or none.
struct Body {
    status: &'static str,
    header: String,
    file: Option<File>,
    begins: u64,
    length: u64,
}

impl Body {
    fn find(shelves: &Shelves, request: &Request) -> Self {
        let nothing = |status, header| Self { status, header, file: None, begins: 0, length: 0 };
        let shelf = shelves.iter().find_map(|(name, directory)| Some((request.path.strip_prefix(name)?, directory)));
        let found = shelf.and_then(|(rest, directory)| File::open(file(directory, rest)?).ok());
        let Some((file, all)) = found.and_then(|file| file.metadata().ok().map(|data| (file, data.len()))) else {
            return nothing("404 Not Found", String::new());
        };
        match request.range.as_deref().map(|range| part(range, all)) {
            None => Self { file: Some(file), length: all, ..nothing("200 OK", "Accept-Ranges: bytes\r\n".to_owned()) },
            Some(Some((begins, length))) => {
                let header = format!("Content-Range: bytes {begins}-{}/{all}\r\n", begins + length - 1);
                Self { file: Some(file), begins, length, ..nothing("206 Partial Content", header) }
            }
            Some(None) => nothing("416 Range Not Satisfiable", format!("Content-Range: bytes */{all}\r\n")),
        }
    }
}

/// Which part of a file is meant: where it begins, and how long it is.
fn part(range: &str, all: u64) -> Option<(u64, u64)> {
    let (first, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    let begins: u64 = first.parse().ok()?;
    let last = if last.is_empty() { all } else { last.parse::<u64>().ok()?.saturating_add(1) };
    let length = last.min(all).checked_sub(begins).filter(|length| *length > 0)?;
    Some((begins, length))
}

struct Request {
    path: String,
    range: Option<String>,
    head_only: bool,
    last: bool,
}

fn request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let [method, path, version] = words[..] else { return Ok(None) };
    let mut request =
        Request { path: path.to_owned(), range: None, head_only: method == "HEAD", last: version == "HTTP/1.0" };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some(request));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            request.range = Some(value.trim().to_owned());
        }
        request.last |= line.trim().eq_ignore_ascii_case("connection: close");
    }
}

/// The file that a request means; nothing above the directory.
fn file(directory: &Path, path: &str) -> Option<PathBuf> {
    let path =
        path.split(['?', '#']).next().unwrap_or_default().replace("%3a", ":").replace("%2B", "+").replace("%25", "%");
    let inside = Path::new(path.trim_start_matches('/'));
    let safe = inside.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    // A version's colon is written as `%3a` in the name of a package file.
    let found = directory.join(inside);
    let escaped = directory.join(path.trim_start_matches('/').replace(':', "%3a"));
    safe.then(|| if found.is_file() { found } else { escaped })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn ask(requests: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("apt")).unwrap();
        fs::write(directory.path().join("apt/a_1%3a2_all.deb"), "deb").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shelves = vec![(String::new(), directory.path().to_owned())];
        thread::spawn(move || serve(&listener, shelves));
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(requests.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    #[test]
    fn several_at_once_are_answered_in_order() {
        let said =
            ask("GET /apt/./a_1%253a2_all.deb HTTP/1.1\r\nHost: x\r\n\r\nGET /apt/a_1%3a2_all.deb HTTP/1.1\r\n\r\n\
                        GET /none HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert_eq!(said.matches("200 OK\r\nContent-Length: 3\r\nAccept-Ranges: bytes\r\n\r\ndeb").count(), 2, "{said}");
        assert!(said.ends_with("404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), "{said}");
    }

    #[test]
    fn a_part_of_a_file() {
        let said = ask("GET /apt/a_1%3a2_all.deb HTTP/1.0\r\nRange: bytes=1-\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 206 ") && said.contains("Content-Range: bytes 1-2/3\r\n"), "{said}");
        assert!(said.ends_with("\r\n\r\neb"), "{said}");
        assert_eq!(
            (part("bytes=0-0", 3), part("bytes=3-", 3), part("bytes=1-9", 3)),
            (Some((0, 1)), None, Some((1, 2)))
        );
        assert!(ask("GET /apt/a_1%3a2_all.deb HTTP/1.0\r\nRange: bytes=7-\r\n\r\n").starts_with("HTTP/1.1 416 "));
    }

    #[test]
    fn a_plus_sign_is_found_however_it_is_written() {
        let found = |path| file(Path::new("/d"), path).unwrap();
        assert!(found("/v1%2Bk3s1/k3s").ends_with("v1+k3s1/k3s") && found("/v1+k3s1/k3s").ends_with("v1+k3s1/k3s"));
    }

    #[test]
    fn nothing_above_the_directory() {
        assert!(ask("GET /../../etc/passwd HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404"));
    }
}
