import org.openapitools.client.ApiClient;
import org.openapitools.client.api.ProductApi;
import org.openapitools.client.api.UserApi;
import org.openapitools.client.model.Address;
import org.openapitools.client.model.AddressInput;
import org.openapitools.client.model.Country;
import org.openapitools.client.model.Login;
import org.openapitools.client.model.PageOfProduct;
import org.openapitools.client.model.Session;
import org.openapitools.client.model.Sort;

/** Calls a shop with the generated client: logs in, lists products, and keeps an address. Prints what the answers say. */
public class Call {
    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(arguments[0]);
        Login login = new Login().email(System.getenv("SHOP_EMAIL")).password(System.getenv("SHOP_PASSWORD"));
        Session session = new UserApi(client).postSessions(login, null, null);
        PageOfProduct products =
            new ProductApi(client).getProducts(null, null, null, null, null, Sort.PRICE, 2, null, null, null);
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + session.getToken()));
        AddressInput input =
            new AddressInput().addressLine1("1 Quay").city("Java").country(Country.DE).postalCode("20095");
        Address address = new UserApi(client).postUsersByIdAddresses(session.getUserId(), input, null, null);
        System.out.println(products.getItems().size() + " " + address.getId() + " " + address.getCity() + " "
            + address.getCountry());
    }
}
