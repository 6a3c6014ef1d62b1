//! Pages of lists.

use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::Caller;

/// The most entries of a page, and how many when nothing is said (PlanetScale's documentation).
const MOST: usize = 100;
const USUAL: usize = 25;

/// Which page is asked for.
#[derive(Debug, Deserialize)]
pub struct Paging {
    page: Option<String>,
    per_page: Option<String>,
}

/// Whether a list says how long it is in all: only some do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Totals {
    Shown,
    Absent,
}

impl Paging {
    /// One page of these entries.
    pub fn page(&self, entries: Vec<Value>, totals: Totals, caller: &Caller) -> Value {
        // What is no number counts as absent.
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<usize>().ok());
        let per_page = number(&self.per_page).unwrap_or(USUAL).clamp(1, MOST);
        let current = number(&self.page).unwrap_or(1).max(1);
        let total = entries.len();
        let pages = total.div_ceil(per_page);
        let next = (current < pages).then_some(current + 1);
        let prev = (current > 1).then(|| current - 1);
        let url = |page: usize| page_url(caller, page, per_page);
        let data: Vec<Value> =
            entries.into_iter().skip((current - 1).saturating_mul(per_page)).take(per_page).collect();
        let mut body = json!({
            "type": "list",
            "current_page": current,
            "per_page": per_page,
            "next_page": next,
            "next_page_url": next.map(url),
            "prev_page": prev,
            "prev_page_url": prev.map(url),
            "data": data,
        });
        if totals == Totals::Shown {
            body["total_count"] = json!(total);
            body["total_pages"] = json!(pages);
        }
        body
    }
}

fn page_url(caller: &Caller, page: usize, per_page: usize) -> String {
    let (path, query) = caller.uri.split_once('?').unwrap_or((&caller.uri, ""));
    let is_other =
        |pair: &&str| !pair.is_empty() && !pair.starts_with("page=") && !pair.starts_with("per_page=");
    let mut pairs: Vec<String> = query.split('&').filter(is_other).map(str::to_owned).collect();
    pairs.push(format!("page={page}"));
    pairs.push(format!("per_page={per_page}"));
    format!("{}{path}?{}", caller.origin, pairs.join("&"))
}
