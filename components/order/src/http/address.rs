//! Where an order goes: an address in the request, or one that the customer keeps with the user service.

use bulkhead_contracts::{
    AddressId, AddressLine, City, Country, Line, PostalCode, ShippingId, State, UserId,
};
use bulkhead_sdk::json::Node;
use bulkhead_sdk::serde::Deserialize;
use bulkhead_sdk::serde::de::DeserializeOwned;
use bulkhead_sdk::{Call, Errors, FromJson, Problem, Result, Schema, body, new_id, serde_json};

use crate::rules::status::ShippingStatus;
use crate::store::shipping::Shipping;

/// Whom an order goes to: a first and a last name as long as the user service takes them fit into it.
const RECIPIENT_MAX: usize = 201;

body! {
    /// An address to ship to.
    pub struct FullAddress {
        /// Whom it goes to.
        pub recipient_name: Line<RECIPIENT_MAX>,
        /// Street and number, or what stands for them.
        pub address_line1: AddressLine,
        /// More of it.
        pub address_line2: Option<AddressLine>,
        /// The city.
        pub city: City,
        /// The state or province.
        pub state: Option<State>,
        /// The postal code.
        pub postal_code: PostalCode,
        /// By its code of ISO 3166-1 alpha-2, in upper case.
        pub country: Country,
    }
}

body! {
    /// An address that the customer keeps.
    pub struct KeptAddress {
        /// Its id.
        pub address_id: AddressId,
        /// Whom it goes to; where absent, the customer.
        pub recipient_name: Option<Line<RECIPIENT_MAX>>,
    }
}

/// Where an order is to go. Which of the two it is, `address_id` says.
#[derive(Debug, Clone)]
pub(super) enum ShippingInput {
    Full(Box<FullAddress>),
    Kept(KeptAddress),
}

impl Schema for ShippingInput {
    fn schema() -> serde_json::Value {
        serde_json::json!({"oneOf": [FullAddress::schema(), KeptAddress::schema()]})
    }
}

impl FromJson for ShippingInput {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        let is_kept =
            matches!(&node, Node::Object(fields) if fields.iter().any(|(name, _)| name == "address_id"));
        if is_kept {
            KeptAddress::from_json(node, errors).map(Self::Kept)
        } else {
            FullAddress::from_json(node, errors).map(|full| Self::Full(Box::new(full)))
        }
    }
}

/// What is needed of the user service's answer about an address.
#[derive(Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
struct Address {
    address_line1: String,
    address_line2: Option<String>,
    city: String,
    state: Option<String>,
    postal_code: String,
    country: String,
}

/// What is needed of the user service's answer about a user.
#[derive(Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
struct User {
    first_name: String,
    last_name: String,
}

impl ShippingInput {
    /// Where an order of this customer goes; the id of the address where the customer keeps none of it. Calls the user service, so
    /// before anything is written.
    pub(super) fn find(self, user_id: UserId) -> Result<core::result::Result<Shipping, AddressId>> {
        let (address, recipient_name) = match self {
            Self::Full(full) => {
                let address = Address {
                    address_line1: full.address_line1.into_string(),
                    address_line2: full.address_line2.map(Line::into_string),
                    city: full.city.into_string(),
                    state: full.state.map(Line::into_string),
                    postal_code: full.postal_code.into_string(),
                    country: full.country.to_string(),
                };
                (address, full.recipient_name.into_string())
            }
            Self::Kept(KeptAddress { address_id, recipient_name }) => {
                let path = format!("/users/{user_id}/addresses/{address_id}");
                let Some(address) = ask::<Address>(path)? else { return Ok(Err(address_id)) };
                let recipient_name = match recipient_name {
                    Some(name) => name.into_string(),
                    None => match ask::<User>(format!("/users/{user_id}"))? {
                        Some(user) => format!("{} {}", user.first_name, user.last_name),
                        None => return Ok(Err(address_id)),
                    },
                };
                (address, recipient_name)
            }
        };
        Ok(Ok(Shipping {
            id: ShippingId::from(new_id()),
            recipient_name: Some(recipient_name),
            address_line1: Some(address.address_line1),
            address_line2: address.address_line2,
            city: Some(address.city),
            state: address.state,
            postal_code: Some(address.postal_code),
            country: Some(address.country),
            tracking_number: None,
            carrier: None,
            shipping_status: ShippingStatus::Pending,
        }))
    }
}

/// Asks the user service for a thing; none where there is none.
fn ask<T: DeserializeOwned>(path: String) -> Result<Option<T>> {
    let answer = Call::get(path).send("user")?;
    match answer.status() {
        200 => answer.json().map(Some),
        404 => Ok(None),
        504 => Err(Problem::deadline_exceeded()),
        status => Err(Problem::unavailable("the address cannot be looked up now")
            .for_the_operator(format!("the user service answered {status}"))),
    }
}
