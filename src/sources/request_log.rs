//! The requests that this process has sent to sources, the most recent ones.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, Url};

use crate::telemetry::{Timestamp, clean};

/// The number of requests that are kept.
const KEPT: usize = 500;
/// The most characters of a query that are kept.
const MAX_QUERY: usize = 300;

/// A request and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub at: Timestamp,
    pub method: String,
    /// Without user name, password and parameters.
    pub url: String,
    /// The query in the backend's language; empty if there is none.
    pub query: String,
    /// The status, such as `200`, or why there is none.
    pub outcome: String,
    pub took: Duration,
}

static LOG: Mutex<VecDeque<Logged>> = Mutex::new(VecDeque::new());

/// Adds a request that has ended. `params` are its parameters, of which the query is kept.
pub(super) fn add(method: &Method, url: &Url, params: &[(&str, String)], outcome: String, took: Duration) {
    let mut url = url.clone();
    // A URL without a host has no credentials either.
    let _no_host = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    let query =
        params.iter().find(|(name, _)| matches!(*name, "query" | "match[]")).map(|(_, text)| text.as_str()).unwrap_or_default();
    let logged = Logged {
        at: Timestamp::from(time::OffsetDateTime::now_utc()),
        method: method.to_string(),
        url: clean::line(url.as_str()),
        query: clean::truncate(&clean::line(query), MAX_QUERY),
        outcome: clean::line(&outcome),
        took,
    };
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    if log.len() == KEPT {
        log.pop_front();
    }
    log.push_back(logged);
}

/// The requests, oldest first.
pub fn recent() -> Vec<Logged> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

/// The requests as text, newest first, each with its query on a line of its own.
pub fn text(requests: &[Logged]) -> String {
    let line = |r: &Logged| {
        let query = if r.query.is_empty() { String::new() } else { format!("\n          {}", r.query) };
        let at = r.at.clock(time::UtcOffset::UTC);
        format!("{at}  {} {} · {} in {} ms{query}\n", r.method, r.url, r.outcome, r.took.as_millis())
    };
    requests.iter().rev().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_neither_credentials_nor_parameters() {
        let url = Url::parse("https://ana:secret@prom.example.org/api/v1/query?token=abc").unwrap();
        let params = [("query", "sum(up)".to_owned()), ("time", "1".to_owned())];
        add(&Method::GET, &url, &params, "200".to_owned(), Duration::from_millis(12));
        let all = recent();
        let logged = all.iter().find(|r| r.query == "sum(up)").unwrap();
        assert_eq!(logged.url, "https://prom.example.org/api/v1/query");
        assert!(
            text(std::slice::from_ref(logged))
                .contains("GET https://prom.example.org/api/v1/query · 200 in 12 ms\n          sum(up)")
        );
    }
}
