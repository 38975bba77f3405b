"""Calls a shop with the generated client: logs in, lists products, and keeps an address. Prints what the answers say."""

import os
import sys

from shop_client import AddressInput, ApiClient, Configuration, Country, Login, ProductApi, Sort, UserApi

anybody = ApiClient(Configuration(host=sys.argv[1]))
session = UserApi(anybody).post_sessions(Login(email=os.environ["SHOP_EMAIL"], password=os.environ["SHOP_PASSWORD"]))
products = ProductApi(anybody).get_products(sort=Sort.PRICE, limit=2)
customer = ApiClient(Configuration(host=sys.argv[1], access_token=session.token))
new = AddressInput(address_line1="1 Quay", city="Python", country=Country.DE, postal_code="20095")
address = UserApi(customer).post_users_by_id_addresses(session.user_id, new)
print(len(products.items), address.id, address.city, address.country)
