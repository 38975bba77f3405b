//! Deploys and the way back, as an operator asks for them over HTTP.

use std::path::Path;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::Admin;
use crate::client::Answer;

impl Admin {
    /// Asks for a component to be deployed. `how` is the query, such as `dry_run=true&note=tried`.
    #[track_caller]
    pub fn ask_to_deploy(&mut self, service: &str, component: Bytes, how: &str) -> Answer {
        self.client.send(Method::POST, &format!("/api/deploys/{service}?{how}"), &[], component)
    }

    /// Deploys the component in a file, and gives what the host says of it: from now on it serves.
    #[track_caller]
    pub fn deploy(&mut self, service: &str, file: &Path) -> Value {
        let deployed = self.ask_to_deploy(service, component(file), "").expect(200);
        assert_eq!(deployed["outcome"], "deployed", "{deployed}");
        deployed
    }

    /// Does all of it but the switch.
    #[track_caller]
    pub fn try_deploy(&mut self, service: &str, file: &Path) -> Value {
        let tried = self.ask_to_deploy(service, component(file), "dry_run=true").expect(200);
        assert_eq!(tried["outcome"], "tried", "{tried}");
        tried
    }

    /// Goes back to the version before, or to the one whose hash begins so.
    #[track_caller]
    pub fn roll_back(&mut self, service: &str, to: Option<&str>) -> Value {
        let to = to.map(|to| format!("?to={to}")).unwrap_or_default();
        let deployed = self.send(Method::POST, &format!("/api/rollbacks/{service}{to}")).expect(200);
        assert_eq!(deployed["outcome"], "deployed", "{deployed}");
        deployed
    }

    /// Each time that a version of a service became the active one, the last first.
    #[track_caller]
    pub fn versions(&mut self, service: &str) -> Vec<Value> {
        let list = self.get(&format!("/api/versions/{service}"));
        list["items"].as_array().unwrap_or_else(|| panic!("no items: {list}")).clone()
    }
}

/// The bytes of a file.
#[track_caller]
pub fn component(file: &Path) -> Bytes {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).into()
}
