//! The words that a text is found by: of the names and descriptions of products for the index, and of what a customer types for the
//! query. Both go through the same function, so that what looks or means the same is the same word.
//!
//! - **One form** (`fold`): compatibility composition (NFKC, <https://www.unicode.org/reports/tr15/>), without upper and lower case, and
//!   without the marks that people leave out when they type: accents (but those of й and ї), Arabic and Hebrew points, and characters that
//!   nobody sees.
//! - **Apart** (`tokens`): a word is letters, digits and their marks. Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese are written
//!   without spaces, or with few: there each two neighbouring characters are a word, and so is the last one of a run alone. So
//!   whatever stands anywhere in a run is found: it is words that follow one another.
//!
//! Left out on purpose: stems (`leeks` is not `leek`), synonyms, Hiragana for Katakana, and dictionaries.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

#[cfg(test)]
mod tests;

/// The words of a text that is to be found, with spaces between them: what the index gets.
pub fn words(text: &str) -> String {
    tokens(&fold(text), End::Closed).words.join(" ")
}

/// The words of a text that is looked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// They follow one another.
    pub words: Vec<String>,
    /// The last one is a single character of a run, and stands for every word that begins with it.
    pub last_is_part: bool,
}

/// The words of one typed word. Its last run may be the beginning or the middle of a longer one.
pub fn typed(text: &str) -> Tokens {
    tokens(&fold(text), End::Open)
}

/// The letters and digits of one typed word as they are, with spaces between: the words of an index that has texts as they were written.
pub fn as_written(text: &str) -> String {
    let parts = text.split(|character| !is_in_word(character)).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// Whether a run at the end of a text may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Open,
}

/// The one form of all texts that look or mean the same.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let parts = text.chars().flat_map(apart).nfkd();
    let mut letter = None;
    let kept = parts.filter(|part| {
        if is_left_out(*part) {
            // A second one on the same letter is left out.
            return letter.take_if(|letter| is_other_letter_with(*letter, *part)).is_some();
        }
        letter = Some(*part);
        true
    });
    kept.flat_map(without_case).flat_map(plain).nfc().collect()
}

/// Apart from the word before, what NFKC would glue to it: `10½` would become 101/2.
fn apart(character: char) -> impl Iterator<Item = char> {
    let (first, second) = match character {
        brand if is_brand_mark(brand) => (' ', None),
        // Fractions (<https://www.unicode.org/charts/PDF/U2150.pdf>).
        '\u{BC}'..='\u{BE}' | '\u{2150}'..='\u{215F}' | '\u{2189}' => (' ', Some(character)),
        other => (other, None),
    };
    [Some(first), second].into_iter().flatten()
}

/// й and ї are letters of their own, with keys of their own, and no и and і with a mark.
fn is_other_letter_with(letter: char, mark: char) -> bool {
    matches!((letter, mark), ('и' | 'И', '\u{306}') | ('і' | 'І', '\u{308}'))
}

/// As the full case folding of Unicode: ß is ss, ς is σ. Lower case first, for the capital ẞ has no upper case of its own.
fn without_case(character: char) -> impl Iterator<Item = char> {
    character.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// Letters that are one with their stroke, or two in one, and have no decomposition in Unicode: as whoever lacks the key types them.
fn plain(letter: char) -> impl Iterator<Item = char> {
    let (first, second) = match letter {
        'æ' => ('a', Some('e')),
        'đ' | 'ð' => ('d', None),
        'ħ' => ('h', None),
        'ł' => ('l', None),
        'œ' => ('o', Some('e')),
        'ø' => ('o', None),
        'ŧ' => ('t', None),
        'þ' => ('t', Some('h')),
        other => (other, None),
    };
    [Some(first), second].into_iter().flatten()
}

/// NFKC would make letters of them.
fn is_brand_mark(character: char) -> bool {
    matches!(character, '\u{2120}' | '\u{2122}' | '\u{1F16A}'..='\u{1F16C}')
}

/// Marks that people leave out when they type, and characters that nobody sees (`Default_Ignorable_Code_Point`).
fn is_left_out(character: char) -> bool {
    matches!(character,
        // Accents and other marks of Latin, Greek and Cyrillic.
        '\u{300}'..='\u{36F}' | '\u{483}'..='\u{487}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        // Hebrew and Arabic points, and the stroke that stretches a line.
        | '\u{591}'..='\u{5BD}' | '\u{5BF}' | '\u{5C1}' | '\u{5C2}' | '\u{5C4}' | '\u{5C5}' | '\u{5C7}'
        | '\u{610}'..='\u{61A}' | '\u{640}' | '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{6D6}'..='\u{6DC}'
        | '\u{6DF}'..='\u{6E4}' | '\u{6E7}' | '\u{6E8}' | '\u{6EA}'..='\u{6ED}'
        // Not seen: hyphens and joints that show at the end of a line alone, directions, variants of a character, fillers.
        | '\u{AD}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

fn is_in_word(character: char) -> bool {
    character.is_alphanumeric() || is_combining_mark(character)
}

/// It belongs to a script that is written without spaces, or whose words are joined to others: Han, Kana, Bopomofo, Hangul, and those of
/// south-east Asia.
fn is_spaceless(character: char) -> bool {
    matches!(character,
        // Thai, Lao; Burmese; Khmer; the scripts of the Tai languages.
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{1950}'..='\u{19FF}'
        | '\u{1A20}'..='\u{1AAF}' | '\u{A9E0}'..='\u{A9FF}' | '\u{AA60}'..='\u{AADF}'
        // Hangul, as NFC leaves it.
        | '\u{1100}'..='\u{11FF}' | '\u{A960}'..='\u{A97F}' | '\u{AC00}'..='\u{D7FF}'
        // Han, Kana and Bopomofo, with their marks and numbers.
        | '\u{2E80}'..='\u{2FDF}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{312F}' | '\u{31A0}'..='\u{31BF}'
        | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{1AFF0}'..='\u{1B16F}' | '\u{20000}'..='\u{3FFFF}')
}

/// The words of a text in its one form, in its order.
fn tokens(folded: &str, end: End) -> Tokens {
    let mut tokens = Tokens::default();
    let mut runs = folded.split(|character| !is_in_word(character)).flat_map(runs).peekable();
    while let Some(run) = runs.next() {
        let may_go_on = end == End::Open && runs.peek().is_none();
        if !run.starts_with(is_spaceless) {
            tokens.words.push(run.to_owned());
            continue;
        }
        let ends: Vec<usize> = run.char_indices().map(|(at, first)| at + first.len_utf8()).collect();
        let mut begin = 0;
        for pair in ends.windows(2) {
            if let [first, second] = *pair {
                tokens.words.extend(run.get(begin..second).map(str::to_owned));
                begin = first;
            }
        }
        let is_alone = ends.len() == 1;
        if is_alone || !may_go_on {
            tokens.words.extend(run.get(begin..).map(str::to_owned));
        }
        tokens.last_is_part = is_alone && may_go_on;
    }
    tokens
}

/// Splits a word where its script begins or ceases to be written without spaces.
fn runs(word: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let kind = is_spaceless(first);
        let end = rest.find(|character| is_spaceless(character) != kind).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        runs.push(run);
        rest = after;
    }
    runs
}
