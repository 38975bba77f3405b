//! Which of a user's addresses is the default: one, where there is any.

use bulkhead_testing::{Service, Value, json};

use super::{As as _, new_address, registered, start};

fn wishing(wish: Option<bool>) -> Value {
    let mut address = new_address();
    if let Some(wish) = wish {
        address["is_default"] = wish.into();
    }
    address
}

/// A user's addresses, numbered from 0 in the order in which they were added.
struct Addresses {
    users: Service,
    user: String,
    ids: Vec<String>,
}

impl Addresses {
    #[track_caller]
    fn of(count: usize) -> Self {
        let users = start();
        let user = registered(&users, "Ada");
        let mut this = Self { users, user, ids: Vec::new() };
        (0..count).for_each(|_| drop(this.add(None)));
        this
    }

    fn path(&self, number: usize) -> String {
        format!("/users/{}/addresses/{}", self.user, self.ids[number])
    }

    /// Adds one; gives whether it is told to be the default.
    #[track_caller]
    fn add(&mut self, wish: Option<bool>) -> Value {
        let request = self.users.post(format!("/users/{}/addresses", self.user)).json(wishing(wish));
        let answer = request.user(&self.user).send().status(201);
        self.ids.push(answer.text_of("id"));
        answer.json()["is_default"].clone()
    }

    #[track_caller]
    fn replace(&self, number: usize, wish: Option<bool>) -> Value {
        let request = self.users.put(self.path(number)).json(wishing(wish));
        request.user(&self.user).send().status(200).json()["is_default"].clone()
    }

    #[track_caller]
    fn delete(&self, number: usize) {
        let _ = self.users.delete(self.path(number)).user(&self.user).send().status(204);
    }

    /// The numbers of those that are the default, as the list, each alone and the rows tell.
    #[track_caller]
    fn defaults(&self) -> Vec<usize> {
        let list = self.users.get(format!("/users/{}/addresses", self.user)).user(&self.user).send();
        let list = list.status(200).json();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        for item in &items {
            let path = format!("/users/{}/addresses/{}", self.user, item["id"].as_str().unwrap_or_default());
            let _ = self.users.get(path).user(&self.user).send().status(200).body(item);
        }
        let is_default = |item: &&Value| item["is_default"] == json!(true);
        let number = |item: &Value| self.ids.iter().position(|id| item["id"] == json!(id));
        items.iter().filter(is_default).filter_map(number).collect()
    }
}

#[test]
fn the_first_address_is_always_the_default() {
    for wish in [None, Some(true), Some(false)] {
        let mut ada = Addresses::of(0);
        assert_eq!(ada.add(wish), json!(true), "{wish:?}");
        assert_eq!(ada.defaults(), [0], "{wish:?}");
    }
}

#[test]
fn another_address_becomes_the_default_only_on_request() {
    for (wish, expected) in [(None, 0), (Some(false), 0), (Some(true), 2)] {
        let mut ada = Addresses::of(2);
        assert_eq!(ada.add(wish), json!(expected == 2), "{wish:?}");
        assert_eq!(ada.defaults(), [expected], "{wish:?}");
    }
}

#[test]
fn a_replaced_address_keeps_its_default_flag_unless_it_requests_otherwise() {
    for (default, replaced, wish, expected) in [
        (1, 1, None, 1),
        (1, 1, Some(true), 1),
        // The oldest of the others takes over.
        (1, 1, Some(false), 0),
        (0, 0, Some(false), 1),
        (2, 2, Some(false), 0),
        (1, 2, None, 1),
        (1, 2, Some(false), 1),
        (1, 2, Some(true), 2),
        (1, 0, Some(true), 0),
    ] {
        let ada = Addresses::of(3);
        ada.replace(default, Some(true));
        assert_eq!(ada.defaults(), [default]);
        assert_eq!(ada.replace(replaced, wish), json!(expected == replaced), "{default} {replaced} {wish:?}");
        assert_eq!(ada.defaults(), [expected], "{default} {replaced} {wish:?}");
    }
}

#[test]
fn a_single_address_always_stays_the_default() {
    for wish in [None, Some(true), Some(false)] {
        let ada = Addresses::of(1);
        assert_eq!(ada.replace(0, wish), json!(true), "{wish:?}");
        assert_eq!(ada.defaults(), [0], "{wish:?}");
    }
}

#[test]
fn deleting_the_default_makes_the_oldest_remaining_address_the_default() {
    for (default, deleted, expected) in [(0, 0, 1), (2, 2, 0), (1, 1, 0), (1, 0, 1), (1, 2, 1)] {
        let ada = Addresses::of(3);
        ada.replace(default, Some(true));
        ada.delete(deleted);
        assert_eq!(ada.defaults(), [expected], "{default} {deleted}");
    }
}

#[test]
fn an_address_added_after_the_last_was_deleted_is_the_default() {
    let mut ada = Addresses::of(2);
    for (deleted, expected) in [(0, vec![1]), (1, vec![])] {
        ada.delete(deleted);
        assert_eq!(ada.defaults(), expected);
    }
    assert_eq!(ada.add(Some(false)), json!(true));
    assert_eq!(ada.defaults(), [2]);
}

#[test]
fn the_default_of_another_user_is_unaffected() {
    let ada = Addresses::of(2);
    let bo = registered(&ada.users, "Bo");
    let bos = super::added(&ada.users, &bo);
    ada.replace(1, Some(true));
    ada.delete(1);
    assert_eq!(ada.defaults(), [0]);
    let answer = ada.users.get(format!("/users/{bo}/addresses/{bos}")).user(&bo).send();
    let _ = answer.status(200).includes(json!({"is_default": true}));
}
