//! Git over HTTP, as git's own `http-backend` speaks it: Argo CD asks a repository in the smart way only.

use std::convert::Infallible;
use std::io::{Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header, http};
use hyper_util::rt::TokioIo;

use crate::failure::{Failure, Tried};

/// Serves the repositories in a directory, for reading, for ever.
pub fn serve(listener: TcpListener, repositories: PathBuf) -> Result<(), Failure> {
    let tried = || "serve git repositories".to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().tried(tried)?;
    let repositories: Arc<Path> = repositories.into();
    runtime.block_on(async {
        listener.set_nonblocking(true).tried(tried)?;
        let listener = tokio::net::TcpListener::from_std(listener).tried(tried)?;
        loop {
            // What cannot be accepted is its client's to try again.
            let Ok((stream, _)) = listener.accept().await else { continue };
            let repositories = Arc::clone(&repositories);
            let service = service_fn(move |request| answer(Arc::clone(&repositories), request));
            // A connection that breaks is its client's to make again.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

async fn answer(repositories: Arc<Path>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let ran = tokio::task::spawn_blocking(move || backend(&repositories, &head, &body)).await;
    let said = ran.map_err(|error| Failure::new("run git http-backend", error)).flatten();
    Ok(said.and_then(|said| response(&said)).unwrap_or_else(|failure| {
        eprintln!("git: {failure}");
        let mut response = Response::new(Full::new(Bytes::from_static(b"see the testbed's log\n")));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }))
}

/// Runs the backend, which is a CGI program. Without a user it gives and takes nothing.
fn backend(repositories: &Path, head: &http::request::Parts, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let tried = || "run git http-backend".to_owned();
    let mut input = tempfile::tempfile().tried(tried)?;
    input.write_all(body).and_then(|()| input.seek(SeekFrom::Start(0))).tried(tried)?;
    let given = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let output = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", repositories)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", head.method.as_str())
        .env("CONTENT_TYPE", given(header::CONTENT_TYPE.as_str()))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", given(header::CONTENT_ENCODING.as_str()))
        .env("GIT_PROTOCOL", given("git-protocol"))
        .stdin(Stdio::from(input))
        .stderr(Stdio::inherit())
        .output()
        .tried(tried)?;
    Ok(output.stdout)
}

/// What a CGI program says: header lines, an empty line, a body.
fn response(said: &[u8]) -> Result<Response<Full<Bytes>>, Failure> {
    let tried = || "understand git http-backend".to_owned();
    let end = said.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| Failure::new(tried(), "no empty line after its headers"))?;
    let (head, body) = said.split_at(end);
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        response = if name.eq_ignore_ascii_case("status") {
            response.status(value.split(' ').next().unwrap_or_default())
        } else {
            response.header(name, value)
        };
    }
    response.body(Full::new(Bytes::copy_from_slice(&body[4..]))).tried(tried)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::run::Run;

    #[test]
    fn a_repository_is_cloned_and_not_pushed_to() {
        let work = tempfile::tempdir().unwrap();
        let git = |words: &[&str], within: &Path| {
            let run = Run::new("git").args(["-c", "user.name=x", "-c", "user.email=x@x"]).args(words).within(within);
            run.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0")
        };
        let one = work.path().join("served/one.git");
        std::fs::create_dir_all(&one).unwrap();
        git(&["init", "-q", "-b", "main", "."], &one).output().unwrap();
        git(&["commit", "-q", "--allow-empty", "-m", "first"], &one).output().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/one.git", listener.local_addr().unwrap());
        let served = work.path().join("served");
        thread::spawn(move || serve(listener, served));
        git(&["clone", "-q", &address, "clone"], work.path()).output().unwrap();
        let clone = work.path().join("clone");
        assert_eq!(git(&["log", "--format=%s"], &clone).output().unwrap(), "first\n");
        assert!(git(&["push", "-q", "origin", "HEAD:other"], &clone).output().is_err());
        let none = git(&["ls-remote", &address.replace("one", "none")], work.path()).output();
        assert!(none.unwrap_err().to_string().contains("not found"));
    }

    #[test]
    fn its_status_is_taken_and_what_is_no_answer_is_none() {
        let answered = response(b"Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno").unwrap();
        assert_eq!((answered.status(), answered.headers().len()), (StatusCode::NOT_FOUND, 1));
        assert_eq!(response(b"A: b\r\n\r\n").unwrap().status(), StatusCode::OK);
        assert!(response(b"fatal").is_err());
    }
}
