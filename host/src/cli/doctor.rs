//! `bulkhead doctor`.

use std::fmt::Write as _;

use anyhow::bail;
use bulkhead_tools::doctor::{Asked, Check, State, examine};
use serde_json::json;

use super::ApplicationArgs;
use super::output::{print, print_json};

/// Fails if something is wrong. A warning is not a failure.
pub(super) fn run(arguments: ApplicationArgs, as_json: bool) -> anyhow::Result<()> {
    let ApplicationArgs { manifest, data, listen, admin } = arguments;
    let checks = examine(&Asked { manifest: manifest.manifest, data, listen, admin });
    if as_json {
        print_json(&json!(checks))?;
    } else {
        print(&text(&checks))?;
    }
    match checks.iter().filter(|check| check.state == State::Wrong).count() {
        0 => Ok(()),
        1 => bail!("find everything in its place: 1 thing is wrong"),
        wrong => bail!("find everything in its place: {wrong} things are wrong"),
    }
}

/// One line for each check, and below it what to do.
fn text(checks: &[Check]) -> String {
    let longest = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    // The width of a line's prefix: a mark, the name, and the spaces between them.
    let indent = " ".repeat(longest + 4);
    let mut text = String::new();
    for Check { name, state, found, remedy } in checks {
        let mark = match state {
            State::Ok => '✓',
            State::Warning => '!',
            State::Wrong => '✗',
        };
        let below = |text: &str| text.replace('\n', &format!("\n{indent}"));
        // Writing to a String can't fail.
        let _ = writeln!(text, "{mark} {name:longest$}  {}", below(found));
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "{indent}→ {}", below(remedy));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_line_and_its_remedy_follows() {
        let checks = [
            Check::ok("host", "bulkhead 1"),
            Check::wrong("data folder", "it is\na file", "give\nanother"),
            Check::warning("room", "little", "make some"),
        ];
        let expected = "\
✓ host         bulkhead 1
✗ data folder  it is
               a file
               → give
               another
! room         little
               → make some
";
        assert_eq!(text(&checks), expected);
    }
}
