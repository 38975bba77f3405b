//! A page of the host's own: bytes that are the same for all clients, with an entity tag, and compressed once.
//!
//! Left out on purpose: `If-Match`, because nobody changes a page.

use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};

use crate::compression::{self, accepts_gzip, is_worth_it};

/// A page.
#[derive(Debug)]
pub struct Page {
    content_type: &'static str,
    policy: Option<&'static str>,
    /// In hexadecimal, of the bytes as they are stored.
    digest: String,
    kept: Kept,
}

/// One form is stored from the start. The other is created at the first request for it.
#[derive(Debug)]
enum Kept {
    Plain { plain: Bytes, gzip: OnceLock<Option<Bytes>> },
    Compressed { gzip: Bytes, plain: OnceLock<Bytes> },
}

impl Page {
    /// A page of this content type.
    #[must_use]
    pub fn new(content_type: &'static str, plain: Bytes) -> Self {
        let digest = digest(&plain);
        Self { content_type, policy: None, digest, kept: Kept::Plain { plain, gzip: OnceLock::new() } }
    }

    /// A page that is already compressed with gzip.
    #[must_use]
    pub fn compressed(content_type: &'static str, gzip: Bytes) -> Self {
        let digest = digest(&gzip);
        Self { content_type, policy: None, digest, kept: Kept::Compressed { gzip, plain: OnceLock::new() } }
    }

    /// Sets what the page may load and do, as a `Content-Security-Policy`.
    #[must_use]
    pub fn with_policy(self, policy: &'static str) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// The answer to a GET with these headers.
    pub(crate) fn answer(&self, asked: &HeaderMap) -> Response<Full<Bytes>> {
        let gzip = accepts_gzip(asked).then(|| self.gzip()).flatten();
        let encoding = if gzip.is_some() { ";gzip" } else { "" };
        let tag = format!("\"{}{encoding}\"", self.digest);
        let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = known
            .flat_map(|value| value.split(','))
            .map(|named| named.trim().trim_start_matches("W/"))
            .any(|named| named == tag || named == "*");
        let mut response = Response::new(Full::new(match (is_known, &gzip) {
            (true, _) => Bytes::new(),
            (false, Some(gzip)) => gzip.clone(),
            (false, None) => self.plain(),
        }));
        let headers = response.headers_mut();
        headers.extend(HeaderValue::try_from(tag).map(|tag| (ETAG, tag)));
        headers.insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
        // Clients may store the page, but must revalidate it before use: after a restart the application may have another one.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if gzip.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.extend(self.policy.map(|policy| (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))));
        response
    }

    fn gzip(&self) -> Option<Bytes> {
        match &self.kept {
            Kept::Compressed { gzip, .. } => Some(gzip.clone()),
            Kept::Plain { plain, gzip } => {
                let made = || is_worth_it(plain.len()).then(|| compression::best(plain)).flatten();
                gzip.get_or_init(made).clone()
            }
        }
    }

    fn plain(&self) -> Bytes {
        match &self.kept {
            Kept::Plain { plain, .. } => plain.clone(),
            Kept::Compressed { gzip, plain } => plain.get_or_init(|| compression::expand(gzip)).clone(),
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
