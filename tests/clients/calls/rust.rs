//! Calls a shop with the client that openapi-generator made: logs in, lists products, and keeps an address. Prints what the answers say.

use shop_client::apis::configuration::Configuration;
use shop_client::apis::{product_api, user_api};
use shop_client::models::{AddressInput, Country, Login, Sort};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base_path = std::env::args().nth(1).ok_or("the URL is missing")?;
    let mut client = Configuration { base_path, ..Configuration::default() };
    let login = Login::new(std::env::var("SHOP_EMAIL")?, std::env::var("SHOP_PASSWORD")?);
    let session = user_api::post_sessions(&client, login, None, None).await?;
    let sort = Some(Sort::Price);
    let products =
        product_api::get_products(&client, None, None, None, None, None, sort, Some(2), None, None, None).await?;
    client.bearer_access_token = Some(session.token);
    let input = AddressInput::new("1 Quay".to_owned(), "Rust".to_owned(), Country::De, "20095".to_owned());
    let user = session.user_id.to_string();
    let address = user_api::post_users_by_id_addresses(&client, &user, input, None, None).await?;
    println!("{} {} {} {}", products.items.len(), address.id, address.city, address.country);
    Ok(())
}
