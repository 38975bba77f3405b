//! What a list should give: the items that it holds, in its order, behind the last one that was given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use bulkhead_tests::Client;
use bulkhead_tests::shop::{id, read_page};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// Where an item stands in its list: by the number, the text and then the id, as far as the list goes by them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) number: i64,
    pub(super) text: String,
    pub(super) id: String,
}

/// A list of the shop, and what can be done with its items.
pub(super) trait List {
    /// What an item is made from, and changed to.
    type Draft: Debug + Clone;
    /// How the list is asked for: its sort and its filters.
    type Query: Debug + Clone;

    fn drafts(&self) -> BoxedStrategy<Self::Draft>;
    fn queries(&self) -> BoxedStrategy<Self::Query>;
    fn client(&mut self) -> &mut Client;

    /// Begins with a list that is empty.
    fn begin(&mut self);

    /// What stands before the limit and the cursor, such as `/products?sort=name&`.
    fn path(&self, query: &Self::Query) -> String;

    /// Adds an item; none where there can't be this one.
    fn insert(&mut self, draft: &Self::Draft) -> Option<Value>;

    /// Changes an item; none where nothing of the kind can be changed.
    fn change(&mut self, _: &Value, _: &Self::Draft) -> Option<Value> {
        None
    }

    /// Deletes an item; false where none can be deleted.
    fn delete(&mut self, item: &Value) -> bool;

    /// The filters take the item.
    fn takes(&self, _: &Self::Query, _: &Value) -> bool {
        true
    }

    /// Where the item stands.
    fn key(&self, query: &Self::Query, item: &Value) -> Key;

    /// The last comes first.
    fn descends(&self, _: &Self::Query) -> bool {
        false
    }
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Step<D> {
    Insert(D),
    Change(Index, D),
    Delete(Index),
    /// The next page is read, with this limit; the first one, where there is no next.
    Read(usize),
}

/// How a list is asked for, what it holds at first, and what happens then.
#[derive(Debug, Clone)]
pub(super) struct Case<D, Q> {
    query: Q,
    before: Vec<D>,
    steps: Vec<Step<D>>,
}

pub(super) fn cases<L: List>(list: &L) -> impl Strategy<Value = Case<L::Draft, L::Query>> + use<L> {
    let drafts = || list.drafts();
    let steps = prop_oneof![
        3 => drafts().prop_map(Step::Insert),
        2 => (any::<Index>(), drafts()).prop_map(|(which, draft)| Step::Change(which, draft)),
        2 => any::<Index>().prop_map(Step::Delete),
        4 => prop_oneof![9 => 1..=5_usize, 1 => Just(200)].prop_map(Step::Read),
    ];
    (list.queries(), vec(drafts(), 0..14), vec(steps, 2..24)).prop_map(|(query, before, steps)| Case {
        query,
        before,
        steps,
    })
}

/// What was given from the first page to here, and what must be given by the last.
struct Walk {
    given: Vec<Key>,
    steady: BTreeSet<Key>,
    cursor: Option<String>,
}

/// Plays a case: every page must be what the list holds at that moment behind the page before.
pub(super) fn play<L: List>(list: &mut L, case: &Case<L::Draft, L::Query>) {
    let Case { query, before, steps } = case;
    list.begin();
    let mut items: BTreeMap<String, Value> = BTreeMap::new();
    for draft in before {
        items.extend(list.insert(draft).map(|item| (id(&item), item)));
    }
    let mut walk: Option<Walk> = None;
    for step in steps {
        match step {
            Step::Insert(draft) => items.extend(list.insert(draft).map(|item| (id(&item), item))),
            Step::Change(which, draft) => {
                let changed = chosen(&items, *which).and_then(|item| list.change(&item, draft));
                items.extend(changed.map(|item| (id(&item), item)));
            }
            Step::Delete(which) => {
                if let Some(item) = chosen(&items, *which).filter(|item| list.delete(item)) {
                    items.remove(&id(&item));
                }
            }
            Step::Read(limit) => walk = read(list, query, &items, walk, *limit),
        }
        if let Some(walk) = &mut walk {
            let held = held(list, query, &items);
            walk.steady.retain(|key| held.contains(key));
        }
    }
    // Nothing happens any more, so the walk ends with the items.
    for _ in 0..=items.len() {
        let Some(unfinished) = walk else { return };
        walk = read(list, query, &items, Some(unfinished), 3);
    }
    assert!(walk.is_none(), "the pages do not end");
}

fn chosen(items: &BTreeMap<String, Value>, which: Index) -> Option<Value> {
    if items.is_empty() { None } else { items.values().nth(which.index(items.len())).cloned() }
}

fn held<L: List>(list: &L, query: &L::Query, items: &BTreeMap<String, Value>) -> Vec<Key> {
    let matching = items.values().filter(|item| list.takes(query, item));
    let mut keys: Vec<Key> = matching.map(|item| list.key(query, item)).collect();
    keys.sort();
    if list.descends(query) {
        keys.reverse();
    }
    keys
}

/// Reads a page, and gives the walk as it goes on; none where this was the last page.
fn read<L: List>(
    list: &mut L,
    query: &L::Query,
    items: &BTreeMap<String, Value>,
    walk: Option<Walk>,
    limit: usize,
) -> Option<Walk> {
    let held = held(list, query, items);
    let mut walk = walk.unwrap_or_else(|| Walk {
        given: Vec::new(),
        steady: held.iter().cloned().collect(),
        cursor: None,
    });
    let mut path = format!("{}limit={limit}", list.path(query));
    if let Some(cursor) = &walk.cursor {
        path.push_str(&format!("&cursor={cursor}"));
    }
    let (page, next) = read_page(list.client(), &path);
    let page: Vec<Key> = page.iter().map(|item| list.key(query, item)).collect();
    let descends = list.descends(query);
    let is_behind =
        |key: &Key| walk.given.last().is_none_or(|last| if descends { key < last } else { key > last });
    let behind: Vec<Key> = held.into_iter().filter(is_behind).collect();
    assert_eq!(page, behind[..limit.min(behind.len())], "{path} gave the left, and the list has the right");
    assert_eq!(next.is_some(), behind.len() > limit, "{path}: whether there is a next page");
    walk.given.extend(page);
    walk.cursor = next;
    if walk.cursor.is_some() {
        return Some(walk);
    }
    check(&walk.given, &walk.steady, descends);
    None
}

/// Checks what was given from the first page to the last: in the order of the list, and so nothing twice in one place; and all that was
/// there, in its place, all the time.
#[track_caller]
pub(super) fn check(given: &[Key], steady: &BTreeSet<Key>, descends: bool) {
    let in_order = given.is_sorted_by(|one, next| if descends { one > next } else { one < next });
    assert!(in_order, "not in the order of the list: {given:#?}");
    let missed: Vec<&Key> = steady.iter().filter(|key| !given.contains(key)).collect();
    assert!(missed.is_empty(), "missed {missed:#?}");
}
