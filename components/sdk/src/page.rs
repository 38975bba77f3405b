//! Lists in pages. A cursor has the sort keys of the last item that was returned. So a page begins after that item, whatever was inserted
//! meanwhile.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bounded::Integer;
use crate::encoding::{base64url_decode, base64url_encode};
use crate::problem::{Problem, Result};
use crate::value::{FromText, ObjectSchema, Schema, nullable};

/// Items of a page if the client does not say.
pub const LIMIT_DEFAULT: i64 = 50;
/// The most items of a page. More are refused.
pub const LIMIT_MAX: i64 = 200;
/// A longer cursor is refused unread.
const CURSOR_BYTES_MAX: usize = 4096;

/// `?limit=`: 1 to 200; 50 if absent.
#[derive(Debug, Clone, Copy)]
pub struct Limit(Integer<1, LIMIT_MAX>);

impl Limit {
    /// What to put after LIMIT: one more than the page has, so that the result shows whether there is a next page.
    pub fn and_one_more(self) -> i64 {
        self.0.get() + 1
    }
}

impl Schema for Limit {
    fn schema() -> Value {
        let mut schema = Integer::<1, LIMIT_MAX>::schema();
        if let Value::Object(members) = &mut schema {
            members.insert("default".to_owned(), json!(LIMIT_DEFAULT));
        }
        schema
    }
}

impl FromText for Limit {
    fn from_text(text: &str) -> core::result::Result<Self, String> {
        Integer::from_text(text).map(Self)
    }

    fn absent() -> Option<Self> {
        Some(Self(Integer::clamped(LIMIT_DEFAULT)))
    }
}

/// `?cursor=`: where a page begins. Opaque to clients: base64url of a JSON list of the scope's hash and the keys.
#[derive(Debug, Clone)]
pub struct Cursor {
    scope: String,
    keys: Value,
}

impl Cursor {
    /// The text of a cursor after an item. The scope names the list, with the sort and the filters: a cursor is refused in another list.
    pub fn behind<K: Serialize>(scope: &str, keys: &K) -> Result<String> {
        serde_json::to_vec(&(hash(scope), keys))
            .map(|bytes| base64url_encode(&bytes))
            .map_err(|error| Problem::internal(format!("a cursor's keys are no JSON: {error}")))
    }

    /// The keys of the item after which the page begins; 422 if the cursor is from another list.
    pub fn keys<K: DeserializeOwned>(&self, scope: &str) -> Result<K> {
        let keys = if self.scope == hash(scope) { K::deserialize(&self.keys).ok() } else { None };
        keys.ok_or_else(|| {
            Problem::invalid_field("cursor", "is not a cursor of this list with this sort and these filters")
        })
    }
}

impl Schema for Cursor {
    fn schema() -> Value {
        json!({"type": "string"})
    }
}

impl FromText for Cursor {
    fn from_text(text: &str) -> core::result::Result<Self, String> {
        read(text).ok_or_else(|| "is not a cursor".to_owned())
    }
}

fn read(text: &str) -> Option<Cursor> {
    let bytes = if text.len() <= CURSOR_BYTES_MAX { base64url_decode(text)? } else { return None };
    let text = String::from_utf8(bytes).ok()?;
    // The one who made the cursor may have nested it deeply. This checks the nesting before the stack is used.
    crate::json::parse(&text).ok()?;
    let (scope, keys) = serde_json::from_str(&text).ok()?;
    Some(Cursor { scope, keys })
}

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): it tells lists apart, it does not keep a secret.
fn hash(scope: &str) -> String {
    let hash = scope.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// One page of a list: `{"items": […], "next_cursor": string or null}`.
#[derive(Debug, Clone)]
pub struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of the rows of a query with [`Limit::and_one_more`]. `keys` gives the sort keys of an item.
    pub fn new<K: Serialize>(
        mut rows: Vec<T>,
        limit: Limit,
        scope: &str,
        keys: impl Fn(&T) -> K,
    ) -> Result<Self> {
        let count = usize::try_from(limit.0.get()).unwrap_or(usize::MAX);
        let more = rows.len() > count;
        rows.truncate(count);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(Cursor::behind(scope, &keys(last))?),
            _ => None,
        };
        Ok(Self { items: rows, next_cursor })
    }

    /// The same page with each item converted.
    pub fn map<U>(self, of: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(of).collect(), next_cursor: self.next_cursor }
    }

    /// A page without items.
    pub fn empty() -> Self {
        Self { items: Vec::new(), next_cursor: None }
    }

    /// There are no items.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T: Schema> Schema for Page<T> {
    fn schema() -> Value {
        let item = T::schema();
        let title = item.get("title").and_then(Value::as_str);
        let title = title.map(|title| format!("PageOf{title}")).unwrap_or_default();
        let mut object = ObjectSchema::new(title, "One page of a list.");
        object.field("items", "", json!({"type": "array", "items": item}), true);
        object.field("next_cursor", "Of the next page; null on the last.", nullable(String::schema()), true);
        object.finish()
    }
}

impl<T: Serialize> Serialize for Page<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("items", &self.items)?;
        map.serialize_entry("next_cursor", &self.next_cursor)?;
        map.end()
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_gives_its_keys_only_for_its_own_list() {
        let text = Cursor::behind("sort=name", &("Ape", 7)).expect("text");
        let cursor = Cursor::from_text(&text).expect("a cursor");
        assert_eq!(cursor.keys::<(String, i64)>("sort=name").expect("keys"), ("Ape".to_owned(), 7));
        for problem in [
            cursor.keys::<(String, i64)>("sort=price").unwrap_err(),
            cursor.keys::<(i64, i64)>("sort=name").unwrap_err(),
        ] {
            assert_eq!((problem.status(), problem.errors()[0].field.as_str()), (422, "cursor"));
        }
    }

    #[test]
    fn text_that_is_not_a_cursor_is_refused() {
        for text in [
            "",
            "x",
            "e30",
            "W10",
            "bnVsbA",
            "W1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tb",
            "%",
            &"A".repeat(8192),
        ] {
            assert!(Cursor::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_page_with_more_rows_after_it_has_a_next_cursor() {
        let limit = Limit::from_text("2").expect("a limit");
        assert_eq!(limit.and_one_more(), 3);
        for (rows, items, more) in [(0, 0, false), (2, 2, false), (3, 2, true)] {
            let page = Page::new((0..rows).collect(), limit, "list", |row| *row).expect("a page");
            assert_eq!((page.items.len(), page.next_cursor.is_some()), (items, more));
        }
    }

    #[test]
    fn a_limit_outside_its_bounds_is_refused() {
        for text in ["0", "201", "-1", "1.5", "", "ten", "+5", "99999999999999999999"] {
            assert!(Limit::from_text(text).is_err(), "{text}");
        }
    }
}
