//! Answers, in the shapes that bmcd has for them.

use serde_json::{Value, json};

/// What goes back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Without a content type.
    pub fn bare(status: u16, body: String) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// Text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::bare(status, body.into()).with("content-type", "text/plain; charset=utf-8".to_owned())
    }

    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::bare(status, body.to_string()).with("content-type", "application/json".to_owned())
    }

    /// A result.
    pub fn result(result: Value) -> Self {
        Self::json(200, &json!({ "response": [{ "result": result }] }))
    }

    /// It is done.
    pub fn ok() -> Self {
        Self::result(json!("ok"))
    }

    /// A refusal or a failure.
    pub fn error(status: u16, why: &str) -> Self {
        Self::json(status, &json!({ "response": [{ "result": why }] }))
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
