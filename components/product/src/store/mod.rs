//! All SQL of the service, a file per table. The statements' texts are fixed, save those of the list of products, which is put
//! together from fixed parts, so that the host's statement cache holds them.

pub mod category;
pub mod image;
pub mod product;
pub mod product_list;
pub mod product_search;
pub mod reservation;
pub mod review;
