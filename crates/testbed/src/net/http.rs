//! A web server for files, as much of it as apt needs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Serves what is below a directory, for ever.
pub fn serve(listener: &TcpListener, directory: &Path) {
    let directory: Arc<Path> = Arc::from(directory);
    for stream in listener.incoming().flatten() {
        let directory = Arc::clone(&directory);
        // A connection that breaks is its client's to make again.
        thread::spawn(move || drop(talk(&stream, &directory)));
    }
}

fn talk(stream: &TcpStream, directory: &Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    // apt sends several requests at once and reads the answers in order.
    while let Some(request) = request(&mut reader)? {
        let body = file(directory, &request.path).and_then(|path| fs::read(path).ok());
        let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
        let connection = if request.last { "Connection: close\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{connection}\r\n", body.len());
        writer.write_all(head.as_bytes())?;
        if !request.head_only {
            writer.write_all(&body)?;
        }
        if request.last {
            break;
        }
    }
    Ok(())
}

struct Request {
    path: String,
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
    let mut request = Request { path: path.to_owned(), head_only: method == "HEAD", last: version == "HTTP/1.0" };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some(request));
        }
        request.last |= line.trim().eq_ignore_ascii_case("connection: close");
    }
}

/// The file that a request means; nothing above the directory.
fn file(directory: &Path, path: &str) -> Option<PathBuf> {
    let path = path.split(['?', '#']).next().unwrap_or_default().replace("%3a", ":").replace("%25", "%");
    let inside = Path::new(path.trim_start_matches('/'));
    let safe = inside.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    // A version's colon is written as `%3a` in the name of a package file.
    let found = directory.join(inside);
    let escaped = directory.join(path.trim_start_matches('/').replace(':', "%3a"));
    safe.then(|| if found.is_file() { found } else { escaped })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn ask(requests: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("apt")).unwrap();
        fs::write(directory.path().join("apt/a_1%3a2_all.deb"), "deb").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let root = directory.path().to_owned();
        thread::spawn(move || serve(&listener, &root));
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
        assert_eq!(said.matches("200 OK\r\nContent-Length: 3\r\n\r\ndeb").count(), 2, "{said}");
        assert!(said.ends_with("404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), "{said}");
    }

    #[test]
    fn nothing_above_the_directory() {
        assert!(ask("GET /../../etc/passwd HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404"));
    }
}
