//! One request at a time, through the proxies that the environment names; the body comes piece by piece.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::timeout;
use tokio_rustls::rustls;

use super::error::WebError;
use super::tls::trusting_the_system;

const CONNECT_BOUND: Duration = Duration::from_secs(20);
/// From the request to the first line of the last answer; some mirrors fetch a file themselves first.
const ANSWER_BOUND: Duration = Duration::from_secs(90);
const REDIRECTIONS: usize = 10;

/// An answer whose body is still to come.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    response: Response,
    stall: Duration,
}

impl Answer {
    /// The next bytes; `None` at the end. One that breaks off is never an end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, WebError> {
        let piece = timeout(self.stall, self.response.chunk()).await;
        piece.map_err(|_| WebError::Stalled(self.stall.as_secs()))?.map_err(|error| WebError::Lost(words(&error)))
    }
}

/// Asks for what is at an address. `stall` bounds the time without a byte.
///
/// # Errors
/// When no answer came. An answer with any status is none.
pub(super) async fn get(url: &Url, headers: HeaderMap, stall: Duration) -> Result<Answer, WebError> {
    let request = client()?.get(url.clone()).headers(headers);
    let response = timeout(ANSWER_BOUND, request.send()).await;
    let response = response
        .map_err(|_| WebError::Stalled(ANSWER_BOUND.as_secs()))?
        .map_err(|error| unanswered(url.host_str().unwrap_or_default(), error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    // The client follows what leads to the web, and gives out what leads elsewhere.
    if let Some(to) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
        let to = String::from_utf8_lossy(to.as_bytes()).into_owned();
        return Err(WebError::Address(format!("{} redirects to {to}, which is not followed", response.url())));
    }
    Ok(Answer { status, headers, response, stall })
}

/// The one client. What the system trusts and what the environment says of proxies are read once.
fn client() -> Result<&'static Client, WebError> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    CLIENT.get_or_init(|| build().map_err(|error| words(&*error))).as_ref().map_err(|said| WebError::Tls(said.clone()))
}

fn build() -> Result<Client, Box<dyn Error + Send + Sync>> {
    let mut headers = HeaderMap::new();
    // Sums are of the file itself, and so is what a range counts.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let client = Client::builder()
        .tls_backend_preconfigured(trusting_the_system()?)
        .user_agent(concat!("bringup/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .referer(false)
        .redirect(Policy::custom(redirect))
        .dns_resolver(System)
        .connect_timeout(CONNECT_BOUND)
        // Files are few and large: a connection that is kept saves nothing, and may be dead when it is used again.
        .pool_max_idle_per_host(0);
    Ok(client.build()?)
}

/// A redirection that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("{from} redirects to {to}, which is not followed: {why}")]
struct NotFollowed {
    from: Url,
    to: Url,
    why: &'static str,
}

/// Where a redirection leads. One that would give up TLS is not followed.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    match attempt.previous().last().and_then(|from| Some((from.clone(), refusal(from, attempt.url())?))) {
        Some((from, why)) => {
            let to = attempt.url().clone();
            attempt.error(NotFollowed { from, to, why })
        }
        None if attempt.previous().len() > REDIRECTIONS => attempt.error("it redirects more than 10 times"),
        None => attempt.follow(),
    }
}

/// Why it is not followed, if so.
fn refusal(from: &Url, to: &Url) -> Option<&'static str> {
    match (from.scheme(), to.scheme()) {
        ("https", "https") | ("http", "http" | "https") => None,
        ("https", "http") => Some("it would give up TLS"),
        _ => Some("it is no address of the web"),
    }
}

/// The system's resolver, whose error tells a name that does not resolve from a host that does not answer.
struct System;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unresolved(io::Error);

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Unresolved)?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What kept an answer from coming, by what lies under the error.
fn unanswered(host: &str, error: reqwest::Error) -> WebError {
    let said = format!("{host}: {}", words(&error));
    let mut under: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(cause) = under {
        if let Some(not_followed) = cause.downcast_ref::<NotFollowed>() {
            return WebError::Address(not_followed.to_string());
        }
        if let Some(Unresolved(why)) = cause.downcast_ref() {
            return WebError::Unresolved(format!("{host}: {why}"));
        }
        let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = inside.and_then(|inside| inside.downcast_ref::<rustls::Error>()) {
            return WebError::Tls(format!("{host}: {tls}"));
        }
        under = cause.source();
    }
    match () {
        () if error.is_redirect() => WebError::Address(said),
        () if error.is_connect() || error.is_timeout() => WebError::Unreachable(said),
        () => WebError::Lost(said),
    }
}

/// An error with what lies under it, which says why. The address is ours to name: it may hold a password.
fn words(error: &(dyn Error + 'static)) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut under = Some(error);
    while let Some(cause) = under {
        let text = match cause.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_connect() => "connect".to_owned(),
            Some(error) if error.is_redirect() => "redirect".to_owned(),
            Some(_) => String::new(),
            None => cause.to_string(),
        };
        if !text.is_empty() && causes.last() != Some(&text) {
            causes.push(text);
        }
        under = cause.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn redirections_keep_tls() {
        for (from, to, is_followed) in [
            ("https://a.example/x", "https://b.example/z?q=1", true),
            ("http://a.example/x", "https://a.example/x", true),
            ("http://a.example/x", "http://b.example/x", true),
            ("https://a.example/x", "http://a.example/x", false),
            ("https://a.example/x", "file:///etc/passwd", false),
            ("http://a.example/x", "ftp://a.example/x", false),
        ] {
            let refusal = refusal(&from.parse().unwrap(), &to.parse().unwrap());
            assert_eq!(refusal.is_none(), is_followed, "{from} → {to}");
        }
    }
}
