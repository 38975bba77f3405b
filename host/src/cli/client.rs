//! Requests to a running host, through its admin port.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use bulkhead_manifest::Manifest;
use bulkhead_server::admin::{ADDRESS_FILE, AdminToken, TOKEN_FILE};
use bulkhead_server::tasks;
use bytes::Bytes;
use clap::Args;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::manifest_arg::ManifestArg;

/// Which host to ask.
#[derive(Debug, Args)]
pub(super) struct HostArgs {
    #[command(flatten)]
    manifest: ManifestArg,
    /// The data folder of the host, which has the admin port's token; overrides the manifest
    #[arg(long, global = true, env = "BULKHEAD_DATA")]
    data: Option<PathBuf>,
    /// The admin port of the host; default: the one that the host wrote into its data folder
    #[arg(long, global = true, env = "BULKHEAD_ADMIN", value_parser = bulkhead_manifest::address::parse)]
    admin: Option<SocketAddr>,
}

/// The host did not do what was requested, and said why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The user must change the request.
    #[error("the host refused: {0}")]
    Refused(String),
    /// Changing the request does not help: the host failed.
    #[error("the host failed at this: {0}")]
    Failed(String),
}

impl HostArgs {
    /// The manifest that the arguments name.
    pub(super) fn manifest(&self) -> anyhow::Result<Manifest> {
        Ok(Manifest::read(&self.manifest.manifest)?)
    }

    /// Sends a request, and returns the answer's JSON.
    pub(super) fn ask(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        self.ask_with(method, path, Bytes::new())
    }

    /// The same with a body.
    pub(super) fn ask_with(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Value> {
        let data = match &self.data {
            Some(data) => data.clone(),
            None => self.manifest()?.data,
        };
        let token = AdminToken::read(&data).with_context(|| {
            format!(
                "read {}: is a host running on this data folder? Start it with `bulkhead up`",
                data.join(TOKEN_FILE).display()
            )
        })?;
        // The host wrote its address into this file.
        let written =
            std::fs::read_to_string(data.join(ADDRESS_FILE)).ok().and_then(|text| text.trim().parse().ok());
        let address = match self.admin.or(written) {
            Some(address) => address,
            None => self.manifest()?.admin,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the network")?;
        let (status, answer) =
            runtime.block_on(exchange(address, method, path, body, &token)).with_context(|| {
                format!("ask the host on {address}: does it run, and is this its admin port (--admin)?")
            })?;
        let document: Value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
        if !(200..300).contains(&status) {
            let detail = document.get("detail").and_then(Value::as_str).unwrap_or("it does not say why");
            let refusal = if status < 500 { Refusal::Refused } else { Refusal::Failed };
            return Err(refusal(detail.to_owned()).into());
        }
        Ok(document)
    }
}

async fn exchange(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: Bytes,
    token: &str,
) -> anyhow::Result<(u16, Bytes)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // If the connection breaks, the request reports the error.
    tasks::passing("connection", async move { drop(connection.await) });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::new(body))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

/// Percent-encodes all characters that could have a meaning in a path or a query.
pub(super) fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
