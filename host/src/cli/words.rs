//! Arguments with a few allowed words, for types that do not depend on the command line.

use bulkhead_manifest::AccessLog;
use bulkhead_server::interface::Format;
use bulkhead_server::telemetry::LogFormat;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// The form of the access log.
pub(super) fn access_log() -> impl TypedValueParser<Value = AccessLog> {
    words(AccessLog::ALL.map(|format| {
        let help = match format {
            AccessLog::Off => "None",
            AccessLog::Text => "For people",
            AccessLog::Json => "One JSON object a line, for programs",
        };
        (format.word(), help, format)
    }))
}

/// The form of log lines.
pub(super) fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    words([
        ("text", "For people", LogFormat::Text),
        ("json", "One JSON object a line, for programs", LogFormat::Json),
    ])
}

/// The version of an OpenAPI document.
pub(super) fn openapi_version() -> impl TypedValueParser<Value = Format> {
    words([
        ("3.1", "The one that documents are made in", Format::V3_1),
        ("3.0", "For tools that do not read 3.1", Format::V3_0),
    ])
}

/// Each word, its help text, and its value.
fn words<T, const COUNT: usize>(
    words: [(&'static str, &'static str, T); COUNT],
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let known = words.map(|(word, help, _)| PossibleValue::new(word).help(help));
    PossibleValuesParser::new(known).try_map(move |given| {
        let found = words.iter().find(|(word, ..)| *word == given);
        found.map(|(.., value)| *value).ok_or("it is none of these words")
    })
}
