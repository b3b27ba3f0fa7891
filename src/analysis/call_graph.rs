//! Which service calls which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Which service calls which, as far as it is known. A service without a known call is not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallGraph {
    callees: BTreeMap<String, BTreeSet<String>>,
}

impl CallGraph {
    /// Adds a call. Returns whether it was unknown before.
    pub fn add(&mut self, caller: &str, callee: &str) -> bool {
        self.callees.entry(caller.to_owned()).or_default().insert(callee.to_owned())
    }

    /// Adds all calls of another graph.
    pub fn add_all(&mut self, other: &Self) {
        for (caller, callee) in other.calls() {
            self.add(caller, callee);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.callees.is_empty()
    }

    /// Callers with one of their callees each, in the order of their names.
    pub fn calls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_caller().flat_map(|(caller, callees)| callees.iter().map(move |callee| (caller, callee.as_str())))
    }

    /// Callers with all their callees, in the order of their names.
    pub fn by_caller(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.callees.iter().map(|(caller, callees)| (caller.as_str(), callees))
    }

    /// The services that a service calls, in the order of their names.
    pub fn callees(&self, caller: &str) -> impl Iterator<Item = &str> {
        self.callees.get(caller).into_iter().flatten().map(String::as_str)
    }

    /// The services that call a service, in the order of their names.
    pub fn callers(&self, callee: &str) -> impl Iterator<Item = &str> {
        self.by_caller().filter(move |(_, callees)| callees.contains(callee)).map(|(caller, _)| caller)
    }

    /// Whether one service calls another.
    pub fn has(&self, caller: &str, callee: &str) -> bool {
        self.callees.get(caller).is_some_and(|callees| callees.contains(callee))
    }

    /// All services.
    pub fn services(&self) -> BTreeSet<&str> {
        self.calls().flat_map(|(caller, callee)| [caller, callee]).collect()
    }

    /// Whether a service calls another or is called.
    pub fn contains(&self, service: &str) -> bool {
        self.callees.contains_key(service) || self.callers(service).next().is_some()
    }

    /// The services that a service calls, directly or through others; the service itself only if it is called in a circle.
    pub fn reachable_from<'a>(&'a self, service: &'a str) -> BTreeSet<&'a str> {
        walk(service, |caller| self.callees(caller))
    }

    /// The services that call a service, directly or through others; the service itself only if it calls in a circle.
    pub fn callers_through_others<'a>(&'a self, service: &'a str) -> BTreeSet<&'a str> {
        walk(service, |callee| self.callers(callee))
    }
}

impl<A: Into<String>, B: Into<String>> FromIterator<(A, B)> for CallGraph {
    /// From pairs of a caller and a callee.
    fn from_iter<I: IntoIterator<Item = (A, B)>>(calls: I) -> Self {
        let mut graph = Self::default();
        for (caller, callee) in calls {
            graph.callees.entry(caller.into()).or_default().insert(callee.into());
        }
        graph
    }
}

/// Returns what can be reached by steps to the neighbours.
fn walk<'a, N: Iterator<Item = &'a str>>(from: &'a str, neighbours: impl Fn(&'a str) -> N) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = VecDeque::from([from]);
    while let Some(service) = next.pop_front() {
        next.extend(neighbours(service).filter(|neighbour| reached.insert(*neighbour)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_calls_both_ways_and_in_circles() {
        let graph: CallGraph =
            [("web", "shop"), ("shop", "db"), ("web", "cdn"), ("db", "disk"), ("disk", "db")].into_iter().collect();
        assert_eq!(graph.reachable_from("shop"), BTreeSet::from(["db", "disk"]));
        assert_eq!(graph.reachable_from("db"), BTreeSet::from(["db", "disk"]), "in a circle");
        assert_eq!(graph.callers_through_others("db"), BTreeSet::from(["db", "disk", "shop", "web"]));
        assert_eq!(graph.callers("db").collect::<Vec<_>>(), ["disk", "shop"]);
        assert!(graph.reachable_from("cdn").is_empty() && graph.reachable_from("unknown").is_empty());
    }

    #[test]
    fn knows_callers_and_callees() {
        let mut graph = CallGraph::default();
        assert!(graph.is_empty() && graph.add("web", "shop") && !graph.add("web", "shop"));
        graph.add_all(&[("shop", "db")].into_iter().collect());
        assert_eq!(graph.calls().collect::<Vec<_>>(), [("shop", "db"), ("web", "shop")]);
        assert!(graph.contains("db") && graph.contains("web") && !graph.contains("mail"));
        assert!(graph.has("shop", "db") && !graph.has("db", "shop"));
        assert_eq!(graph.services(), BTreeSet::from(["db", "shop", "web"]));
    }
}
