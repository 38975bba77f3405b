use bulkhead_properties::{hold, texts};
use proptest::prelude::*;

use super::*;

#[test]
fn words_that_look_or_mean_the_same_are_equal() {
    for (texts, word) in [
        (&["ΒΟΡΡΆΣ", "ΒΟΡΡΑΣ", "Βορράς", "βορρας"][..], "βορρασ"),
        (&["Straße", "STRASSE", "STRAẞE", "strasse"], "strasse"),
        (&["４０ＧＢ", "40gb", "40㎇"], "40gb"),
        (&["Cr\u{e8}me", "cre\u{300}me", "CREME", "cre\u{ad}me", "cr\u{200B}eme"], "creme"),
        (&["İstanbul", "ISTANBUL", "ıstanbul"], "istanbul"),
        (&["Łódź", "lodz"], "lodz"),
        (&["SMØRREBRØD", "smorrebrod"], "smorrebrod"),
        (&["Œuf", "œuf", "oeuf"], "oeuf"),
        (&["Þæg", "ÞÆG", "thaeg"], "thaeg"),
        (&["Ёлка", "елка"], "елка"),
        (&["ЧАЙ", "чай", "чаи\u{306}", "ча\u{301}й", "чаи\u{200B}\u{306}\u{306}"], "чай"),
        (&["ЇЖА", "їжа", "і\u{308}жа"], "їжа"),
        // Of these nobody has a key.
        (&["ѝ", "ӥ", "и\u{308}", "и"], "и"),
        (&["ﬁne", "fine"], "fine"),
        (&["½", "1/2"], "1 2"),
        (&["10½ oz", "10 1/2 oz"], "10 1 2 oz"),
        (&["3¼", "3 1\u{2044}4"], "3 1 4"),
        (&["a¾", "a 3/4"], "a 3 4"),
        (&["1⅐", "1 1/7"], "1 1 7"),
        (&["1⅟", "1 1"], "1 1"),
        (&["1↉", "1 0/3"], "1 0 3"),
        // Letters with a stroke.
        (&["Đakovo", "dakovo"], "dakovo"),
        (&["smjör með", "smjor med"], "smjor med"),
        (&["Għasel", "ghasel"], "ghasel"),
        (&["Ŧ", "t"], "t"),
        (&["m²", "m2"], "m2"),
        (&["שָׁלוֹם", "שלום"], "שלום"),
        (&["أَرُزّ", "ارز", "أرـز"], "ارز"),
        // Half-width Katakana, whose mark is a character of its own.
        (&["ﾃｨｰﾊﾞｯｸﾞ", "ティーバッグ", "テ\u{E0100}ィーハ\u{3099}ッグ"], "ティ ィー ーバ バッ ッグ グ"),
        // Hangul, in letters and in syllables.
        (&["김치", "\u{1100}\u{1175}\u{11B7}\u{110E}\u{1175}"], "김치 치"),
    ] {
        for text in texts {
            assert_eq!(words(text), word, "{text}");
        }
    }
}

#[test]
fn distinct_letters_stay_distinct() {
    for (text, other) in [
        ("が", "か"),
        ("パ", "ハ"),
        ("ば", "ぱ"),
        ("कि", "की"),
        ("กา", "กำ"),
        ("ü", "ue"),
        ("й", "и"),
        ("ї", "і"),
    ] {
        assert_ne!(words(text), words(other), "{text} {other}");
    }
}

#[test]
fn words_are_letters_and_digits_with_their_marks() {
    for (text, expected) in [
        ("", ""),
        ("Bread-knife, 40 g!", "bread knife 40 g"),
        ("a_b.c", "a b c"),
        ("don\u{2019}t don\u{b4}t", "don t don t"),
        ("Tea\u{2122}bag\u{ae}s", "tea bag s"),
        ("NUL\u{0}in", "nul in"),
        ("हिन्दी चाय", "हिन्दी चाय"),
        ("🍞 bread\u{FE0F}", "bread"),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn scripts_without_spaces_are_split_into_pairs_and_the_last_character() {
    for (text, expected) in [
        ("茶", "茶"),
        ("緑茶", "緑茶 茶"),
        ("日本緑茶ティーバッグ", "日本 本緑 緑茶 茶テ ティ ィー ーバ バッ ッグ グ"),
        ("緑茶40g入り", "緑茶 茶 40g 入り り"),
        ("綠茶。40 g", "綠茶 茶 40 g"),
        ("คีย์", "คี ีย ย์ ์"),
        ("ខ្មែរ", "ខ្ ្ម មែ ែរ រ"),
        ("မြန်", "မြ ြန န် ်"),
        ("ລາວ", "ລາ າວ ວ"),
        ("𠮷野家", "𠮷野 野家 家"),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn a_typed_run_may_be_a_prefix_and_reports_whether_it_ends_in_a_single_character() {
    for (text, expected, last_is_part) in [
        ("茶", "茶", true),
        ("緑茶", "緑茶", false),
        ("緑茶。", "緑茶", false),
        ("日本茶", "日本 本茶", false),
        ("茶40g", "茶 40g", false),
        ("40g茶", "40g 茶", true),
        ("a", "a", false),
        ("-", "", false),
    ] {
        let tokens = typed(text);
        assert_eq!((&*tokens.words.join(" "), tokens.last_is_part), (expected, last_is_part), "{text}");
    }
}

/// Characters of every kind that is treated in a way of its own.
fn characters() -> impl Strategy<Value = char> {
    prop_oneof![
        proptest::char::any(),
        proptest::char::range('\u{0}', '\u{24F}'),
        proptest::char::range('\u{300}', '\u{3FF}'),
        proptest::char::range('\u{590}', '\u{6FF}'),
        proptest::char::range('\u{E00}', '\u{EFF}'),
        proptest::char::range('\u{1000}', '\u{11FF}'),
        proptest::char::range('\u{1E00}', '\u{1FFF}'),
        proptest::char::range('\u{3000}', '\u{30FF}'),
        proptest::char::range('緑', '繁'),
        proptest::char::range('가', '나'),
        proptest::char::range('\u{FF00}', '\u{FFEF}'),
        Just(' '),
        Just('-'),
    ]
}

fn lines() -> impl Strategy<Value = String> {
    proptest::collection::vec(characters(), 0..24).prop_map(String::from_iter)
}

/// Whether these words stand somewhere among those, one after another; the last may be the beginning of one.
fn follow(within: &[&str], words: &[String], last_may_go_on: bool) -> bool {
    let Some((last, first)) = words.split_last() else { return true };
    within.windows(words.len()).any(|window| {
        window.iter().zip(first).all(|(word, wanted)| word == wanted)
            && window.last().is_some_and(|word| word == last || last_may_go_on && word.starts_with(&**last))
    })
}

#[test]
fn folding_is_idempotent_and_case_insensitive() {
    hold(&prop_oneof![lines(), texts()], |text| {
        let folded = fold(&text);
        assert_eq!(fold(&folded), folded, "{text:?}");
        // In upper case the iota below a Greek letter is a letter of its own, and else a mark that is left out.
        if !text.nfkd().any(|part| part == '\u{345}') {
            assert_eq!(fold(&text.to_uppercase()), fold(&text.to_lowercase()), "{text:?}");
        }
    });
}

#[test]
fn the_index_splits_text_only_between_words() {
    hold(&lines(), |text| {
        let words = words(&text);
        assert!(
            words.chars().all(|part| part == ' ' || !part.is_ascii() || part.is_ascii_alphanumeric()),
            "{words:?}"
        );
        assert!(words.split(' ').all(|word| !word.is_empty()) || words.is_empty(), "{words:?}");
    });
}

#[test]
fn a_text_is_found_by_each_of_its_words_and_by_each_part_of_a_run() {
    hold(&(lines(), any::<(proptest::sample::Index, proptest::sample::Index)>()), |(text, (from, to))| {
        let indexed = words(&text);
        let indexed: Vec<&str> = indexed.split(' ').collect();
        for typed_word in text.split_whitespace() {
            let tokens = typed(typed_word);
            assert!(follow(&indexed, &tokens.words, tokens.last_is_part), "{text:?} {typed_word:?}");
        }
        let folded = fold(&text);
        for run in folded.split(|character| !is_in_word(character)).flat_map(runs) {
            let characters: Vec<char> = run.chars().collect();
            let (from, to) = (from.index(characters.len()), to.index(characters.len()));
            let (from, to) = (from.min(to), from.max(to));
            if is_spaceless(characters[0]) {
                let part: String = characters[from..=to].iter().collect();
                let tokens = tokens(&part, End::Open);
                assert!(follow(&indexed, &tokens.words, tokens.last_is_part), "{text:?} {part:?}");
            }
        }
    });
}
