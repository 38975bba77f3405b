//! Cursors that were given, changed on their way, or made up.

use bulkhead_properties::{hold, texts};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::*;

/// Keys as lists have them: a text, a number and an id.
type Keys = (String, i64, Uuid);

fn keys() -> impl Strategy<Value = Keys> {
    (texts(), any::<i64>(), any::<u128>().prop_map(Uuid::from_u128))
}

/// The keys that are read from a text, if it is accepted as a cursor of this list.
fn keys_in(text: &str, scope: &str) -> Option<Keys> {
    Cursor::from_text(text).ok()?.keys(scope).ok()
}

#[test]
fn a_cursor_gives_the_keys_it_was_created_from() {
    hold(&(texts(), keys()), |(scope, keys)| {
        let text = Cursor::behind(&scope, &keys).expect("a cursor");
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(keys_in(&text, &scope), Some(keys));
    });
}

/// The longest text in which a list is sorted has 200 characters (names, slugs), of which JSON makes 800 bytes at most.
#[test]
fn a_cursor_of_the_longest_keys_is_short_enough_to_be_accepted() {
    hold(
        &(vec(any::<char>().prop_filter("in no name", |c| !c.is_control()), 200), any::<i64>()),
        |(name, number)| {
            let keys: Keys = (name.into_iter().collect(), number, Uuid::max());
            assert_eq!(keys_in(&Cursor::behind("list", &keys).expect("a cursor"), "list"), Some(keys));
        },
    );
}

#[test]
fn a_cursor_is_valid_only_for_its_own_list() {
    hold(&(texts(), texts(), keys()), |(scope, other, keys)| {
        let text = Cursor::behind(&scope, &keys).expect("a cursor");
        assert_eq!(keys_in(&text, &other).is_some(), scope == other);
    });
}

/// What is left may be other keys, or the same ones written otherwise, such as an id in capitals: cursors are not signed, and who makes one
/// up begins a page where they like.
#[test]
fn a_truncated_cursor_is_refused_and_a_changed_one_is_refused_or_a_different_cursor() {
    // Often the last character: of base64 that is read carelessly, several there stand for the same bytes.
    let places = prop_oneof![any::<Index>().prop_map(Some), Just(None)];
    let characters = prop_oneof![prop::char::range('A', 'z'), any::<char>()];
    hold(&(keys(), places, characters), |(keys, place, character)| {
        let text = Cursor::behind("list", &keys).expect("a cursor");
        let place = place.map_or(text.len() - 1, |place| place.index(text.len()));
        let changed = format!("{}{character}{}", &text[..place], &text[place + 1..]);
        let cut = &text[..place];
        assert_eq!(keys_in(cut, "list"), None, "{cut}");
        if changed != text && keys_in(&changed, "list").is_some() {
            assert_ne!(base64url_decode(&changed), base64url_decode(&text), "{changed}");
        }
    });
}

#[test]
fn any_text_and_any_bytes_are_refused_without_a_panic() {
    hold(&texts(), |text| assert!(Cursor::from_text(&text).is_err(), "{text:?}"));
    hold(&any::<Vec<u8>>(), |bytes| {
        assert!(Cursor::from_text(&base64url_encode(&bytes)).is_err(), "{bytes:?}")
    });
}

/// JSON of a few levels.
fn documents() -> impl Strategy<Value = Value> {
    let leaves = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
        Just(Value::from(hash("list"))),
    ];
    leaves.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((texts(), inner), 0..3).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

#[test]
fn a_forged_cursor_gives_keys_only_if_a_page_could_have_issued_it() {
    let pairs = prop_oneof![
        documents(),
        documents().prop_map(|keys| json!([hash("list"), keys])),
        keys().prop_map(|keys| json!([hash("list"), keys])),
        (documents(), documents()).prop_map(|(scope, keys)| json!([scope, keys])),
    ];
    hold(&pairs, |document| {
        let text = base64url_encode(document.to_string().as_bytes());
        if let Some(keys) = keys_in(&text, "list") {
            assert_eq!(json!([hash("list"), keys]), document);
        }
    });
}
