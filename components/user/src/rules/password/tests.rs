use super::*;

const CHEAP: Cost = Cost { memory_kib: MEMORY_KIB_MIN, iterations: 1 };
const SALT: [u8; SALT_BYTES] = [7; SALT_BYTES];

fn read<T: FromJson>(text: &str) -> Result<T, String> {
    let mut errors = Errors::default();
    T::from_json(Node::Text(text.into()), &mut errors).ok_or_else(|| errors.into_found()[0].message.clone())
}

fn given(text: &str) -> GivenPassword {
    read(text).expect("a password")
}

#[test]
fn a_new_password_has_10_to_128_characters_of_any_kind() {
    for text in ["0123456789", "          ", "ä\u{0}\n\t🔑 pass", &"🔑".repeat(128)] {
        assert_eq!(read::<NewPassword>(text).expect(text).as_ref(), text.as_bytes());
    }
    for text in ["", "012345678", "🔑🔑🔑🔑🔑🔑🔑🔑🔑", &"p".repeat(129)] {
        assert!(read::<NewPassword>(text).is_err(), "{text}");
    }
    // An accent that was typed as a character of its own counts with its letter.
    assert!(read::<NewPassword>(&"e\u{301}".repeat(128)).is_ok());
    assert!(read::<NewPassword>(&"e\u{301}".repeat(129)).is_err());
    assert!(read::<NewPassword>(&"e\u{301}".repeat(9)).is_err());
}

#[test]
fn a_prepared_password_has_the_form_of_the_opaque_string_profile() {
    for (text, form) in [
        ("pa\u{df}w\u{f6}rd", "pa\u{df}w\u{f6}rd"),
        ("paßwo\u{308}rd", "paßw\u{f6}rd"),
        ("a\u{a0}b\u{3000}c\u{2009}d", "a b c d"),
        // NFC, and not NFKC: these are compatible, and yet others. Nor is case folded, or white space trimmed.
        ("４０\u{fb01}", "４０\u{fb01}"),
        (" Aa\t\u{0} ", " Aa\t\u{0} "),
        // The examples of RFC 8265, section 4.3, as far as they are not refused by the profile.
        ("correct horse battery staple", "correct horse battery staple"),
        ("\u{3c0}\u{df}\u{e5}", "\u{3c0}\u{df}\u{e5}"),
        ("Jack of \u{2666}s", "Jack of \u{2666}s"),
        ("foo\u{1680}bar", "foo bar"),
        // What NFC makes longer: three times the bytes.
        ("\u{1d160}", "\u{1d158}\u{1d165}\u{1d16e}"),
    ] {
        let prepared = prepare(text);
        assert_eq!(&**prepared, form, "{text:?}");
        assert!(prepared.capacity() <= 3 * text.len(), "it did not grow: {text:?}");
    }
}

#[test]
fn each_unicode_space_becomes_the_ascii_space() {
    // The category Zs (https://www.unicode.org/Public/UCD/latest/ucd/extracted/DerivedGeneralCategory.txt).
    let spaces = (0x2000..=0x200A).chain([0x20, 0xA0, 0x1680, 0x202F, 0x205F, 0x3000]);
    for space in spaces.filter_map(char::from_u32) {
        assert_eq!(&**prepare(&format!("a{space}b")), "a b", "{space:?}");
    }
    for other in ['\t', '\u{85}', '\u{180E}', '\u{200B}', '\u{2028}', '\u{2060}', '\u{FEFF}'] {
        let text = format!("a{other}b");
        assert_eq!(*prepare(&text), text, "{other:?}");
    }
}

#[test]
fn a_given_password_may_be_anything_up_to_1000_characters() {
    for text in ["", " ", &"🔑".repeat(1000)] {
        assert!(read::<GivenPassword>(text).is_ok(), "{text}");
    }
    assert!(read::<GivenPassword>(&"p".repeat(1001)).is_err());
}

#[test]
fn no_message_or_debug_output_shows_a_password_or_a_hash() {
    let secret = "tr0ub4dor";
    assert!(!read::<NewPassword>(secret).expect_err("too short").contains(secret));
    assert!(!read::<GivenPassword>(&secret.repeat(200)).expect_err("too long").contains(secret));
    let long = read::<NewPassword>(&secret.repeat(2)).expect("a password");
    let hash = hash(&Compute::in_a_test(), CHEAP, &long, &SALT).expect("a hash");
    assert_eq!(
        format!("{long:?} {:?} {hash:?}", given(secret)),
        "NewPassword(..) GivenPassword(..) PasswordHash(..)"
    );
}

#[test]
fn a_hash_verifies_only_its_own_password() {
    let compute = Compute::in_a_test();
    let new: NewPassword = read("correct horse").expect("a password");
    let hash = hash(&compute, CHEAP, &new, &SALT).expect("a hash");
    for (text, expected) in [
        ("correct horse", Verified::Yes),
        ("correct\u{2003}horse", Verified::Yes),
        ("correct horse ", Verified::No),
        ("Correct horse", Verified::No),
        ("", Verified::No),
    ] {
        assert_eq!(verify(&compute, &given(text), &hash), Ok(expected), "{text}");
    }
}

#[test]
fn a_password_is_the_same_however_its_accents_are_typed() {
    let compute = Compute::in_a_test();
    for set in ["cr\u{e8}me br\u{fb}l\u{e9}e", "cre\u{300}me bru\u{302}le\u{301}e"] {
        let new: NewPassword = read(set).expect("a password");
        let hash = hash(&compute, CHEAP, &new, &SALT).expect("a hash");
        for (text, expected) in [
            ("cr\u{e8}me br\u{fb}l\u{e9}e", Verified::Yes),
            ("cre\u{300}me br\u{fb}le\u{301}e", Verified::Yes),
            ("creme brulee", Verified::No),
            ("cre\u{301}me bru\u{302}le\u{301}e", Verified::No),
        ] {
            assert_eq!(verify(&compute, &given(text), &hash), Ok(expected), "{text}");
        }
    }
}

#[test]
fn a_hash_of_a_password_as_typed_still_verifies_it() {
    let compute = Compute::in_a_test();
    let typed = "cre\u{300}me brulee";
    let hash = hash(&compute, CHEAP, &typed, &SALT).expect("a hash");
    assert_eq!(verify(&compute, &given(typed), &hash), Ok(Verified::AsTyped));
    assert_eq!(verify(&compute, &given("cr\u{e8}me brulee"), &hash), Ok(Verified::No));
}

#[test]
fn a_hash_is_written_as_the_reference_implementation_writes_it() {
    // Made by the reference implementation in C (https://github.com/P-H-C/phc-winner-argon2).
    let reference =
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E";
    let cost = Cost { memory_kib: 64, iterations: 2 };
    let hash = hash(&Compute::in_a_test(), cost, &given("password"), b"somesaltsomesalt").expect("a hash");
    assert_eq!(hash.0, reference);
}

#[test]
fn a_hash_records_its_cost() {
    let hash = hash(&Compute::in_a_test(), CHEAP, &given("correct horse"), &SALT).expect("a hash");
    for (cost, expected) in [
        (CHEAP, true),
        (Cost { iterations: 2, ..CHEAP }, false),
        (Cost { memory_kib: MEMORY_KIB_MIN + 1, ..CHEAP }, false),
    ] {
        assert_eq!(hash.has_cost(cost), Ok(expected), "{cost:?}");
    }
    let other = PasswordHash(hash.0.replace("argon2id", "argon2i"));
    assert_eq!(other.has_cost(CHEAP), Ok(false));
}

#[test]
fn the_hash_of_nobody_has_the_same_cost_and_matches_no_password() {
    let nobody = PasswordHash::of_nobody(CHEAP).expect("a hash");
    assert_eq!(nobody.has_cost(CHEAP), Ok(true));
    for text in ["", "correct horse"] {
        assert_eq!(verify(&Compute::in_a_test(), &given(text), &nobody), Ok(Verified::No));
    }
}

#[test]
fn a_malformed_hash_is_an_error_and_not_a_wrong_password() {
    for text in ["", "plain", "$argon2id$v=19$m=8,t=1,p=1", "$md5$v=1$c29tZXNhbHQ$c29tZWhhc2hzb21laGFzaA"] {
        let verified = verify(&Compute::in_a_test(), &given("plain"), &PasswordHash(text.to_owned()));
        assert!(!matches!(verified, Ok(Verified::Yes | Verified::AsTyped)), "{text}");
        if !text.contains("argon2id") {
            assert!(verified.is_err(), "{text}");
        }
    }
}
