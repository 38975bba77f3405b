//! The blocks of a page.

/// What stands behind a command that is to fail.
const FAILS: &str = "# fails";

/// A command with what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The line of the page.
    pub line: usize,
    /// What is typed.
    pub text: String,
    /// The lines of its output.
    pub shows: Vec<String>,
    /// It is to fail.
    pub fails: bool,
}

/// A block that something is done for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Commands, one after the other.
    Console(Vec<Command>),
    /// A command that goes on running.
    Host(Command),
    /// A file.
    File {
        /// Its path, from the project's folder.
        path: String,
        /// What is in it.
        text: String,
    },
    /// A change of a file.
    Change {
        /// The line of the page.
        line: usize,
        /// Its path, from the project's folder.
        path: String,
        /// What stands there.
        from: String,
        /// What stands there then.
        to: String,
    },
}

/// The blocks of a page in Markdown, in their order.
///
/// # Errors
///
/// What is wrong with the page, with its line.
pub fn read(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate().map(|(place, line)| (place + 1, line));
    while let Some((line, text)) = lines.next() {
        let Some(info) = text.strip_prefix("```") else { continue };
        let inside: Vec<(usize, &str)> = lines.by_ref().take_while(|(_, text)| *text != "```").collect();
        let mut words = info.split(' ');
        let (language, argument) = (words.next().unwrap_or_default(), words.next());
        match (language, argument) {
            ("console", None) => blocks.push(Block::Console(commands(&inside)?)),
            ("console", Some("host")) => {
                let command = <[Command; 1]>::try_from(commands(&inside)?)
                    .map_err(|_| format!("line {line}: a terminal of its own is for one command"))?;
                let [command] = command;
                blocks.push(Block::Host(command));
            }
            ("diff", Some(path)) => blocks.push(change(line, path, &inside)?),
            (_, Some(path)) => {
                let text = inside.iter().map(|(_, text)| format!("{text}\n")).collect();
                blocks.push(Block::File { path: path.to_owned(), text });
            }
            (_, None) => {}
        }
    }
    Ok(blocks)
}

fn commands(inside: &[(usize, &str)]) -> Result<Vec<Command>, String> {
    let mut commands: Vec<Command> = Vec::new();
    for (line, text) in inside {
        if let Some(typed) = text.strip_prefix("$ ") {
            let fails = typed.ends_with(FAILS);
            commands.push(Command { line: *line, text: typed.to_owned(), shows: Vec::new(), fails });
            continue;
        }
        let command = commands.last_mut().ok_or(format!("line {line}: a console begins with a `$ ` line"))?;
        if text.starts_with("    ") && command.shows.is_empty() {
            command.text.push('\n');
            command.text.push_str(text);
        } else {
            command.shows.push((*text).to_owned());
        }
    }
    Ok(commands)
}

fn change(line: usize, path: &str, inside: &[(usize, &str)]) -> Result<Block, String> {
    let (mut from, mut to) = (String::new(), String::new());
    for (line, text) in inside {
        let (mark, rest) = text.split_at_checked(1).unwrap_or((" ", ""));
        match mark {
            " " => {
                from.push_str(&format!("{rest}\n"));
                to.push_str(&format!("{rest}\n"));
            }
            "-" => from.push_str(&format!("{rest}\n")),
            "+" => to.push_str(&format!("{rest}\n")),
            _ => return Err(format!("line {line}: a line of a diff begins with a space, - or +")),
        }
    }
    Ok(Block::Change { line, path: path.to_owned(), from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_determine_the_kind_of_a_block() {
        let page = "# Page\n\n```console\n$ one \\\n    two\nout\n$ three # fails\n```\n```console host\n$ serve\n…\n```\n\
                    ```rust src/a.rs\nfn a() {}\n```\n```diff b.toml\n a\n-b\n+c\n```\n```text\nno matter\n```\n";
        let command = |line, text: &str, shows: &[&str], fails| Command {
            line,
            text: text.to_owned(),
            shows: shows.iter().map(|line| (*line).to_owned()).collect(),
            fails,
        };
        assert_eq!(
            read(page).unwrap(),
            [
                Block::Console(vec![
                    command(4, "one \\\n    two", &["out"], false),
                    command(7, "three # fails", &[], true),
                ]),
                Block::Host(command(10, "serve", &["…"], false)),
                Block::File { path: "src/a.rs".into(), text: "fn a() {}\n".into() },
                Block::Change { line: 16, path: "b.toml".into(), from: "a\nb\n".into(), to: "a\nc\n".into() },
            ]
        );
    }
}
