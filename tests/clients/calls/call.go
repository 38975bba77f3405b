// Calls a shop with the generated client: logs in, lists products, and keeps an address. Prints what the answers say.
package main

import (
	"context"
	"fmt"
	"os"

	shop "example.org/shop"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	configuration := shop.NewConfiguration()
	configuration.Servers = shop.ServerConfigurations{{URL: os.Args[1]}}
	client := shop.NewAPIClient(configuration)
	login := *shop.NewLogin(os.Getenv("SHOP_EMAIL"), os.Getenv("SHOP_PASSWORD"))
	session, _, err := client.UserAPI.PostSessions(context.Background()).Login(login).Execute()
	check(err)
	products, _, err := client.ProductAPI.GetProducts(context.Background()).Sort(shop.SORT_PRICE).Limit(2).Execute()
	check(err)
	as := context.WithValue(context.Background(), shop.ContextAccessToken, session.Token)
	input := *shop.NewAddressInput("1 Quay", "Go", shop.COUNTRY_DE, "20095")
	address, _, err := client.UserAPI.PostUsersByIdAddresses(as, session.UserId).AddressInput(input).Execute()
	check(err)
	fmt.Println(len(products.Items), address.Id, address.City, address.Country)
}
