//! Which version this is, and how it behaves. It stands in the data of the built component, so that a test makes many versions of one
//! file: it writes others in its place, of the same length (`tests/src/versions.rs`).
//!
//! The text is `bulkhead-test-version:NUMBER:WORDS`, filled up with spaces. Each service says which words it knows; these are everybody's:
//!
//! | word | what the service does |
//! | --- | --- |
//! | `plain` | nothing but its work |
//! | `trap-at-start` | traps when it is asked what it is |
//! | `loops-at-start` | never says what it is |
//! | `hungry-at-start` | wants 300 MiB before it says what it is |

use std::hint::black_box;

/// How long the text is, with the spaces behind it.
const LENGTH: usize = 128;

/// The version as it was built.
static MARKER: [u8; LENGTH] = padded("bulkhead-test-version:1:plain");

/// More than any service may have.
const HUNGER: usize = 300 << 20;

const fn padded(text: &str) -> [u8; LENGTH] {
    let mut padded = [b' '; LENGTH];
    let (written, _) = padded.split_at_mut(text.len());
    written.copy_from_slice(text.as_bytes());
    padded
}

/// A version.
#[derive(Debug)]
pub struct Version {
    /// Its number, which its answers tell.
    pub number: i64,
    /// The words, with spaces between them.
    words: String,
}

impl Version {
    /// What stands in the component now.
    #[expect(clippy::expect_used, reason = "what a test wrote wrongly shows when the component is loaded")]
    pub fn read() -> Self {
        // SAFETY: the pointer is made of a reference. It is read as volatile so that the compiler can't have known what is there.
        let bytes = unsafe { std::ptr::read_volatile(&raw const MARKER) };
        let text = std::str::from_utf8(&bytes).expect("the version is text");
        let mut parts = text.splitn(3, ':').skip(1);
        let number = parts.next().and_then(|number| number.parse().ok()).expect("the version has a number");
        let words = parts.next().expect("the version has words").trim_end().to_owned();
        Self { number, words }
    }

    /// Whether it has this word.
    pub fn is(&self, word: &str) -> bool {
        self.words().any(|other| other == word)
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.words.split(' ')
    }

    /// Does what is to be done at the start. A word that is not of everybody's and not among these is refused.
    #[expect(clippy::panic, reason = "what a test wrote wrongly shows when the component is loaded")]
    pub fn start(&self, known: &[&str]) {
        for word in self.words().filter(|word| !known.contains(word)) {
            match word {
                "plain" => {}
                "trap-at-start" => trap(),
                "loops-at-start" => spin(),
                "hungry-at-start" => drop(black_box(vec![1_u8; black_box(HUNGER)])),
                other => panic!("no version is {other:?}"),
            }
        }
    }
}

/// Ends the instance.
pub fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    std::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
