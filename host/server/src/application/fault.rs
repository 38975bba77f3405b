//! What is wrong with a service, and the line of the manifest to look at.

use bulkhead_store::StoreError;

use bulkhead_manifest::{Manifest, ServiceSection};

/// What is wrong with a service, and what to do.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The line of the manifest's entry that it is about; none where it is about no entry, and the section is named.
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
    /// Something that is about the entry at a line.
    pub fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), message: message.into() }
    }

    /// Why a service's database can't be made ready: what is about a replica is told at its line.
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

    /// What is wrong alone, where no manifest is told with it.
    pub(super) fn messages(faults: Vec<Self>) -> Vec<String> {
        faults.into_iter().map(|fault| fault.message).collect()
    }
}

/// Messages about a service, each with the place of what it is about.
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
