//! Fills in the variables of a step.

use super::PreparedBlock;
use crate::incident::{Incident, Refusal};
use crate::investigate::script;
use crate::playbook::{BUILT_IN, Block, BlockKind, Check, Playbook, Values, filled_in, label_values, substitute, used_in};
use crate::telemetry::Labels;
use crate::telemetry::subject::service_of;

/// A variable that has no value, or several to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingValue {
    pub name: String,
    /// What it is.
    pub description: String,
    /// The values that the alerts have; empty if they have none.
    pub choices: Vec<String>,
}

impl From<MissingValue> for Refusal {
    fn from(missing: MissingValue) -> Self {
        let MissingValue { name, description, choices } = missing;
        if choices.is_empty() {
            let refusal = Self::invalid(format!("${name} has no value: {description}"));
            return refusal.advise(format!("Give it with --var {name}=VALUE."));
        }
        Self::invalid(format!("the alerts have several values for ${name}: {}", choices.join(", ")))
            .advise(format!("Choose one with --var {name}=VALUE."))
    }
}

/// What the variables are filled in from.
#[derive(Clone, Copy)]
enum Origin<'a> {
    Incident(&'a Incident),
    /// An alert that has no incident yet.
    Alert(&'a Labels),
}

impl Origin<'_> {
    /// The labels of the alerts.
    fn labels(&self) -> Vec<&Labels> {
        match self {
            Self::Incident(i) => i.alerts.iter().map(|a| &a.labels).collect(),
            Self::Alert(labels) => vec![labels],
        }
    }

    /// The value of a variable that every playbook has.
    fn built_in(&self, name: &str) -> Option<String> {
        let incident = if let Self::Incident(i) = self { Some(*i) } else { None };
        match name {
            "incident" => incident.map(|i| i.id().to_string()),
            "title" => incident.map(|i| i.head.title.clone()),
            "severity" => incident.map(|i| i.head.severity.to_string()),
            "since" => incident.map(|i| i.impact_started_at().rfc3339()),
            _ => incident
                .and_then(|i| i.impact.services.first().cloned())
                .or_else(|| self.labels().into_iter().find_map(service_of).map(str::to_owned)),
        }
    }
}

/// The PromQL queries of a playbook for an alert, also those of its checks. Those whose variables have no value are left out.
pub(in crate::investigate) fn queries_for(playbook: &Playbook, labels: &Labels) -> Vec<String> {
    let (origin, given) = (Origin::Alert(labels), Values::new());
    let blocks = playbook.steps.iter().flat_map(|s| &s.blocks);
    let prepared = blocks.filter_map(|block| prepare(origin, playbook, block, &given).ok());
    let texts = prepared.flat_map(|p| {
        let check = if let Some(Check::Query { expression, .. }) = p.verify { Some(expression) } else { None };
        let text = (p.block.kind == BlockKind::Promql).then_some(p.text);
        text.into_iter().chain(check)
    });
    texts.collect()
}

/// The first variable of a step that has no value; `None` if each has one.
pub(super) fn missing_value(i: &Incident, playbook: &Playbook, step: usize, given: &Values) -> Option<MissingValue> {
    let step = playbook.steps.get(step.wrapping_sub(1))?;
    let names = step.blocks.iter().flat_map(names_in);
    names.into_iter().find_map(|name| value_of(Origin::Incident(i), playbook, name, given).err())
}

/// The variables of a block: in its text, its check and its way back.
fn names_in(block: &Block) -> Vec<&str> {
    let query = match &block.verify {
        Some(Check::Query { expression, .. }) => expression.as_str(),
        _ => "",
    };
    used_in(&block.text).into_iter().chain(used_in(query)).chain(used_in(block.undo.as_deref().unwrap_or_default())).collect()
}

/// Fills in the variables of a block.
pub(super) fn prepare_block(i: &Incident, playbook: &Playbook, block: &Block, given: &Values) -> Result<PreparedBlock, Refusal> {
    prepare(Origin::Incident(i), playbook, block, given)
}

fn prepare(origin: Origin<'_>, playbook: &Playbook, block: &Block, given: &Values) -> Result<PreparedBlock, Refusal> {
    let mut values = Values::new();
    for name in names_in(block) {
        if let Some(value) = value_of(origin, playbook, name, given)? {
            values.insert(name.to_owned(), value);
        }
    }
    let fail = |why: String| {
        Refusal::invalid(format!("line {} of playbook {}: {why}", block.line, playbook.id))
            .advise("Choose another value with --var.")
    };
    let prepared = substitute(block.kind, &block.text, &values).map_err(fail)?;
    let verify = match &block.verify {
        Some(Check::Query { expression, condition }) => {
            let expression = substitute(BlockKind::Promql, expression, &values).map_err(fail)?.text;
            Some(Check::Query { expression, condition: *condition })
        }
        other => other.clone(),
    };
    let undo = block.undo.as_deref().map(|undo| filled_in(undo, &values));
    let argv = (block.kind == BlockKind::Sh).then(|| script::argv(&prepared.text));
    Ok(PreparedBlock { block: block.clone(), text: prepared.text, argv, env: prepared.env, verify, undo })
}

/// The value of a variable: as given, of the incident, of a label of its alerts, or the default. `None` for a name that the playbook does
/// not know.
fn value_of(origin: Origin<'_>, playbook: &Playbook, name: &str, given: &Values) -> Result<Option<String>, MissingValue> {
    if let Some(value) = given.get(name) {
        return Ok(Some(value.clone()));
    }
    let missing = |description: &str, choices: Vec<String>| MissingValue {
        name: name.to_owned(),
        description: description.to_owned(),
        choices,
    };
    let built_in = BUILT_IN.iter().find(|(b, _)| *b == name);
    if let Some((_, description)) = built_in {
        let value = origin.built_in(name);
        return value.map(Some).ok_or_else(|| missing(description, Vec::new()));
    }
    let Some(variable) = playbook.variables.get(name) else { return Ok(None) };
    let found = label_values(name, origin.labels());
    match (found.as_slice(), &variable.default) {
        ([one], _) => Ok(Some(one.clone())),
        ([], Some(default)) => match default.strip_prefix('$').filter(|n| BUILT_IN.iter().any(|(b, _)| b == n)) {
            Some(other) => value_of(origin, playbook, other, given).map_err(|_| missing(&variable.description, Vec::new())),
            None => Ok(Some(default.clone())),
        },
        ([], None) => Err(missing(&variable.description, Vec::new())),
        (several, _) => Err(missing(&variable.description, several.to_vec())),
    }
}
