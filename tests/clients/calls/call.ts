// Calls a shop with the generated client: logs in, lists products, and keeps an address. Prints what the answers say.
import { Configuration, ProductApi, Sort, UserApi } from "shop-client";

declare const process: { argv: string[]; env: Record<string, string> };

async function main() {
  const basePath = process.argv[2];
  const anybody = new Configuration({ basePath });
  const login = { email: process.env.SHOP_EMAIL, password: process.env.SHOP_PASSWORD };
  const session = await new UserApi(anybody).postSessions({ login });
  const products = await new ProductApi(anybody).getProducts({ sort: Sort.Price, limit: 2 });
  const customer = new UserApi(new Configuration({ basePath, accessToken: session.token }));
  const addressInput = { addressLine1: "1 Quay", city: "TypeScript", country: "DE" as const, postalCode: "20095" };
  const address = await customer.postUsersByIdAddresses({ id: session.userId, addressInput });
  console.log(products.items.length, address.id, address.city, address.country);
}

main();
