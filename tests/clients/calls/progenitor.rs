//! Calls a shop with the client that progenitor made: logs in, lists products, and keeps an address. Prints what the answers say.

use std::num::NonZeroU32;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use shop_client::Client;
use shop_client::types::{AddressInput, Country, Login, Sort};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("the URL is missing")?;
    let client = Client::new(&url);
    let login: Login = serde_json::from_value(serde_json::json!({
        "email": std::env::var("SHOP_EMAIL")?,
        "password": std::env::var("SHOP_PASSWORD")?,
    }))?;
    let session = client.post_sessions(None, None, &login).await?.into_inner();
    let limit = NonZeroU32::new(2);
    let products = client
        .get_products(None, None, None, limit, None, None, None, Some(Sort::Price), None, None)
        .await?
        .into_inner();
    // This generator leaves tokens to the one who calls.
    let token = HeaderValue::try_from(format!("Bearer {}", session.token))?;
    let http = reqwest::Client::builder().default_headers(HeaderMap::from_iter([(AUTHORIZATION, token)])).build()?;
    let client = Client::new_with_client(&url, http);
    let input = AddressInput {
        address_line1: "1 Quay".parse()?,
        address_line2: None,
        city: "Progenitor".parse()?,
        country: Country::De,
        is_default: None,
        postal_code: "20095".parse()?,
        state: None,
    };
    let address = client.post_users_by_id_addresses(&session.user_id, None, None, &input).await?.into_inner();
    println!("{} {} {} {}", products.items.len(), address.id, address.city, address.country);
    Ok(())
}
