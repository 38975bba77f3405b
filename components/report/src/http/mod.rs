//! The handlers. All of them read, and answer an [`Admin`] alone.

#[cfg(test)]
mod tests;

use bulkhead_contracts::Admin;
use bulkhead_sdk::{Integer, Json, Problem, Query, Result, Service, Snapshot, migration, query, reply};

use crate::events;
use crate::rules::amount::Amount;
use crate::rules::day::Day;
use crate::rules::order::Status;
use crate::store::order::{self, StatusCount};
use crate::store::sale::{self, BestSeller, DepartmentDay};

/// The most rows of a revenue report: the host gives 10,000 at most, and one tells whether there are more.
const REVENUE_ROWS_MAX: usize = 9_999;
/// The most best sellers that can be asked for.
const BEST_SELLERS_MAX: i64 = 200;
/// Best sellers where the client does not say how many.
const BEST_SELLERS_DEFAULT: i64 = 50;

query! {
    /// Which days.
    pub struct RevenueQuery {
        /// The first day; from the beginning where absent.
        pub from: Option<Day>,
        /// The last day, which is counted too; to the end where absent.
        pub to: Option<Day>,
    }
}

query! {
    /// How many products.
    pub struct BestSellersQuery {
        /// At most so many; 50 where absent.
        pub limit: Option<Integer<1, BEST_SELLERS_MAX>>,
    }
}

reply! {
    /// What was taken, by day and department.
    pub struct Revenue {
        /// By day, then by the department's name.
        pub items: Vec<DepartmentDay>,
        /// The sum of the items.
        pub total: Amount,
    }
}

reply! {
    /// The products that sell best.
    pub struct BestSellers {
        /// By units, then by revenue, the most first.
        pub items: Vec<BestSeller>,
    }
}

reply! {
    /// How the orders stand.
    pub struct OrdersByStatus {
        /// Each status once, in the order of an order's life.
        pub items: Vec<StatusCount>,
    }
}

fn revenue(_: Admin, Query(query): Query<RevenueQuery>, snapshot: Snapshot) -> Result<Json<Revenue>> {
    let (from, to) = (query.from.unwrap_or_else(Day::first), query.to.unwrap_or_else(Day::last));
    if from > to {
        return Err(Problem::invalid_field("to", "must not be before from"));
    }
    let items = sale::revenue(&snapshot, from, to, i64::try_from(REVENUE_ROWS_MAX + 1).unwrap_or(i64::MAX))?;
    if items.len() > REVENUE_ROWS_MAX {
        let message = format!("these days have more than {REVENUE_ROWS_MAX} items; ask for fewer days");
        return Err(Problem::invalid_field("from", message));
    }
    let total: Option<Amount> = items.iter().map(|item| item.revenue).sum();
    let total =
        total.ok_or_else(|| Problem::internal("the revenue of these days is more than there can be"))?;
    Ok(Json(Revenue { items, total }))
}

fn best_sellers(
    _: Admin,
    Query(query): Query<BestSellersQuery>,
    snapshot: Snapshot,
) -> Result<Json<BestSellers>> {
    let limit = query.limit.map_or(BEST_SELLERS_DEFAULT, Integer::get);
    Ok(Json(BestSellers { items: sale::best_sellers(&snapshot, limit)? }))
}

fn orders_by_status(_: Admin, snapshot: Snapshot) -> Result<Json<OrdersByStatus>> {
    let counted = order::by_status(&snapshot)?;
    let count = |status| counted.iter().find(|row| row.status == status).map_or(0, |row| row.count);
    let items = Status::ALL.map(|status| StatusCount { status, count: count(status) });
    Ok(Json(OrdersByStatus { items: items.into() }))
}

/// The service.
pub fn service() -> Service {
    let service =
        Service::new("The reports: revenue, best sellers and orders, made from the events of others.")
            .migration(migration!("../../migrations/V0001__create_reports.sql"))
            .get("/reports/revenue", "Says what was taken, by day and department.", revenue)
            .get("/reports/best-sellers", "Lists the products that sell best.", best_sellers)
            .get("/reports/orders-by-status", "Counts the orders by how they stand.", orders_by_status);
    events::subscribe(service)
}
