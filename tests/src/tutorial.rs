//! Following a page word for word: what its fenced blocks say is done, in their order, and what they show must come.
//!
//! | block | what is done |
//! | --- | --- |
//! | `console` | each `$ ` line is run by bash, with the lines below that are indented by four spaces; variables and functions stay for later ones. The other lines are its output |
//! | `console host` | the same in another terminal, where it goes on running: what follows waits for the lines that are shown |
//! | `rust PATH`, `sql PATH`, … | the file is written |
//! | `diff PATH` | the lines with `-` and ` ` stand in the file once, and become those with `+` and ` ` |
//! | any other | nothing |
//!
//! In output `…` stands for any text, and alone on a line for any lines. A command whose line ends with `# fails` must fail, and any other
//! must not.

mod page;
mod run;

pub use page::{Block, Command, read};
pub use run::Follower;
