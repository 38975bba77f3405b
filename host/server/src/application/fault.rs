//! What is wrong with a service, and the manifest line to look at.

use bulkhead_manifest::{Manifest, ServiceSection};
use bulkhead_store::StoreError;

/// What is wrong with a service, and what to do.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The manifest line of the entry at fault. None if the fault is not about an entry: then the section is named.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { line: None, message }
    }
}

impl Fault {
    /// A fault of the entry at a line.
    pub fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), message: message.into() }
    }

    /// Why a service's database can't be made ready. A fault of a replica is reported at the replica's line.
    pub fn of_database(entry: &ServiceSection, error: &StoreError) -> Self {
        let line = match error {
            StoreError::Replica { name, .. } => Some(entry.lines.of(&format!("replica.{name}"))),
            _ => None,
        };
        Self { line, message: error.to_string() }
    }

    /// The same for several.
    pub(super) fn all(messages: Vec<String>) -> Vec<Self> {
        messages.into_iter().map(Self::from).collect()
    }

    /// Only the messages, where they are reported without a manifest.
    pub(super) fn messages(faults: Vec<Self>) -> Vec<String> {
        faults.into_iter().map(|fault| fault.message).collect()
    }
}

/// Messages about a service, each with its place in the manifest.
pub(super) fn at<F: Into<Fault>>(
    manifest: &Manifest,
    entry: &ServiceSection,
    faults: Vec<F>,
) -> impl Iterator<Item = String> {
    let (path, name, section) = (manifest.path.display().to_string(), entry.spec.name.clone(), entry.line);
    faults.into_iter().map(move |fault| {
        let Fault { line, message } = fault.into();
        format!("{path}:{}: service.{name}: {message}", line.unwrap_or(section))
    })
}
