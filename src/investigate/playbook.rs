//! Runs the steps of playbooks: fills in their variables, runs their blocks, checks what must hold, and records all of it.
//!
//! A step that runs a script is recorded before the script begins. If warroom is killed in between, the step stays begun: its outcome is
//! unknown, and a person decides whether to run it again.

use std::time::{Duration, Instant};

use super::clock::now;
use super::command::Outcome;
use super::desk::{Desk, DeskError, Progress};
use super::script::{self, Ending};
use crate::config::TlsConfig;
use crate::evidence::{Body, Draft, Redactor};
use crate::incident::{BlockResult, Command, EvidenceKind, Incident, IncidentId, LinkedAlert, Refusal, StepState};
use crate::playbook::{BUILT_IN, Block, BlockKind, Check, Condition, Playbook, Step, Values, substitute, used_in};
use crate::sources::{LogFilter, SourceError, http::client_builder, step_for};
use crate::telemetry::series::human_value;
use crate::telemetry::subject::service_of;
use crate::telemetry::words::{count, list};
use crate::telemetry::{Failure, Series, Window, clean, time};

/// How long and how often what must hold after a script is checked before it counts as not holding.
const CHECK_FOR: Duration = Duration::from_mins(1);
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How far back a check looks for the newest value of its query.
const CHECK_WINDOW: Duration = Duration::from_mins(5);
/// Log lines that a block reads.
const MAX_LINES: usize = 500;
/// How much of a response is kept, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// A step with its variables filled in: exactly what would run.
#[derive(Clone, Debug)]
pub struct PreparedStep {
    pub playbook: String,
    pub title: String,
    pub step: Step,
    pub blocks: Vec<PreparedBlock>,
}

/// A block with its variables filled in.
#[derive(Clone, Debug)]
pub struct PreparedBlock {
    pub block: Block,
    pub text: String,
    /// For a script: its arguments, and the variables in its environment.
    pub argv: Option<Vec<String>>,
    pub env: Values,
    pub verify: Option<Check>,
    pub undo: Option<String>,
}

impl PreparedStep {
    /// Whether it runs a script, which a person has to confirm.
    pub fn has_script(&self) -> bool {
        self.blocks.iter().any(|b| b.block.kind == BlockKind::Sh)
    }

    /// What its scripts would run, in lines for a person: where, exactly what, with which variables, and what it can do.
    pub fn describe(&self) -> Vec<String> {
        let host = whoami::hostname().unwrap_or_else(|_| "this machine".to_owned());
        let folder = std::env::current_dir().map_or_else(|_| "an unknown folder".to_owned(), |path| path.display().to_string());
        let mut lines = Vec::new();
        for block in self.blocks.iter().filter(|b| b.argv.is_some()) {
            lines.push(format!("On {host} in {folder}:"));
            lines.extend(clean::block(&block.text).lines().map(|line| format!("  {line}")));
            // Quoted, so that nothing in a value looks like another line.
            lines.extend(block.env.iter().map(|(name, value)| format!("  {name} = {value:?}")));
            let verify = block.verify.as_ref().map(ToString::to_string);
            let timeout = Some(time::human_duration(block.block.timeout));
            let notes =
                [("danger", block.block.danger.clone()), ("undo", block.undo.clone()), ("verify", verify), ("timeout", timeout)];
            lines.extend(notes.into_iter().filter_map(|(label, text)| Some(format!("{label}: {}", clean::line(&text?)))));
        }
        lines
    }

    fn number(&self) -> u32 {
        u32::try_from(self.step.number).unwrap_or(u32::MAX)
    }
}

/// How a step is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consent {
    /// A person has seen exactly what will run, and confirmed it.
    pub is_confirmed: bool,
    /// Run it although it was run before.
    pub again: bool,
}

/// The result of a step.
#[derive(Clone, Debug)]
pub struct StepOutcome {
    pub outcome: Outcome,
    pub state: StepState,
    pub results: Vec<BlockResult>,
    /// The outputs of the blocks, redacted, in the order of the results.
    pub outputs: Vec<String>,
    /// The number of the step that a result proposes.
    pub goto: Option<usize>,
}

/// The result of one block before it is recorded.
struct Ran {
    result: BlockResult,
    output: String,
    draft: Option<Draft>,
    is_ok: bool,
    /// Whether the condition of its `goto` holds.
    goes: bool,
}

impl Desk {
    /// The playbook with this id.
    ///
    /// # Errors
    /// If there is none.
    pub fn playbook(&self, id: &str) -> Result<&Playbook, Refusal> {
        self.playbooks.find(id)
    }

    /// Fills in the variables of a step. `given` are the values that a person chose.
    ///
    /// # Errors
    /// If the step does not exist, a variable has no value or several, or a value cannot be used where it is.
    pub fn prepare_step(
        &self,
        i: &Incident,
        playbook: &Playbook,
        number: usize,
        given: &Values,
    ) -> Result<PreparedStep, Refusal> {
        let step = playbook.steps.get(number.wrapping_sub(1)).ok_or_else(|| {
            Refusal::not_found(format!("playbook {} has no step {number}", playbook.id))
                .advise(format!("Its steps are 1 to {}.", playbook.steps.len()))
        })?;
        if let Some(name) = given.keys().find(|n| !playbook.variables.contains_key(*n) && !BUILT_IN.iter().any(|(b, _)| b == n)) {
            let known: Vec<&str> = playbook.variables.keys().map(String::as_str).chain(BUILT_IN.map(|(n, _)| n)).collect();
            return Err(Refusal::invalid(format!("playbook {} has no variable '{name}'", playbook.id))
                .advise(format!("Its variables are {}.", list(&known))));
        }
        let blocks = step.blocks.iter().map(|block| prepare_block(i, playbook, block, given)).collect::<Result<_, _>>()?;
        Ok(PreparedStep { playbook: playbook.id.clone(), title: playbook.title.clone(), step: step.clone(), blocks })
    }

    /// Runs the blocks of a step in their order, up to the first that fails, and records the result. A step without blocks is done when a
    /// person says so. `show` receives the output of scripts as it comes.
    ///
    /// # Errors
    /// If it has a script and is not confirmed, or only reading is allowed; if it was run before; or if the journal cannot be written.
    pub async fn run_step(
        &self,
        id: IncidentId,
        prepared: &PreparedStep,
        consent: Consent,
        show: &Progress,
    ) -> Result<StepOutcome, DeskError> {
        if prepared.has_script() {
            if self.read_only {
                let refusal = Refusal::invalid("scripts are turned off: [ui] read_only is set");
                return Err(refusal.advise("Run it elsewhere and record the result, or change the configuration.").into());
            }
            if !consent.is_confirmed {
                return Err(Refusal::invalid("the step runs a script and was not confirmed").into());
            }
        }
        let incident = self.begin(id, prepared, consent).await?;
        let (mut all, mut goto) = (Vec::new(), None);
        for block in &prepared.blocks {
            let ran = self.run_block(&incident, block, show).await;
            let is_ok = ran.is_ok;
            if ran.goes {
                goto = goto.or_else(|| block.block.goto.as_ref().map(|(_, anchor)| anchor.clone()));
            }
            all.push(ran);
            if !is_ok {
                break;
            }
        }
        let mut results = Vec::new();
        let mut outputs = Vec::new();
        for ran in all {
            let evidence = match ran.draft {
                Some(draft) => self.append_evidence(id, draft, &self.actor(), None).await?.1.evidence.first().copied(),
                None => None,
            };
            results.push((BlockResult { evidence, ..ran.result }, ran.is_ok));
            outputs.push(Redactor::new().redact_text(&ran.output).into_owned());
        }
        let is_failed = results.iter().any(|(r, is_ok)| !is_ok || r.verified == Some(false));
        let state = if is_failed { StepState::Failed } else { StepState::Done };
        let results: Vec<BlockResult> = results.into_iter().map(|(result, _)| result).collect();
        let command = Command::EndStep {
            playbook: prepared.playbook.clone(),
            step: prepared.number(),
            state,
            reason: None,
            blocks: results.clone(),
        };
        let outcome = self.run(id, command, None).await?;
        let playbook = self.playbooks.get(&prepared.playbook);
        let goto = goto.and_then(|anchor| playbook?.steps.iter().find(|s| s.anchor == anchor).map(|s| s.number));
        Ok(StepOutcome { outcome, state, results, outputs, goto })
    }

    /// Skips a step, with the reason.
    ///
    /// # Errors
    /// If the step does not exist, or the journal cannot be written.
    pub async fn skip_step(
        &self,
        id: IncidentId,
        playbook: &Playbook,
        number: usize,
        reason: &str,
    ) -> Result<Outcome, DeskError> {
        self.run(id, start(playbook), None).await?;
        let step = u32::try_from(number).unwrap_or(u32::MAX);
        let (playbook, reason) = (playbook.id.clone(), Some(reason.to_owned()));
        self.run(id, Command::EndStep { playbook, step, state: StepState::Skipped, reason, blocks: Vec::new() }, None).await
    }

    /// Records that a playbook and one of its steps begin.
    async fn begin(&self, id: IncidentId, prepared: &PreparedStep, consent: Consent) -> Result<Incident, DeskError> {
        let playbook = self.playbook(&prepared.playbook)?;
        let incident = Box::pin(self.run(id, start(playbook), None)).await?.incident;
        let scripts: Vec<&str> =
            prepared.blocks.iter().filter(|b| b.block.kind == BlockKind::Sh).map(|b| b.text.as_str()).collect();
        if scripts.is_empty() {
            return Ok(incident);
        }
        let command = Command::StartStep {
            playbook: prepared.playbook.clone(),
            step: prepared.number(),
            runs: scripts.join("\n"),
            again: consent.again,
        };
        Ok(Box::pin(self.run(id, command, None)).await?.incident)
    }

    async fn run_block(&self, incident: &Incident, prepared: &PreparedBlock, show: &Progress) -> Ran {
        let began = Instant::now();
        let mut ran = match prepared.block.kind {
            BlockKind::Promql => self.run_promql(incident, prepared).await,
            BlockKind::Logql => self.run_logql(incident, prepared).await,
            BlockKind::Http => run_http(prepared).await,
            BlockKind::Sh => self.run_script(prepared, show).await,
        };
        // What is about another query is checked last, because it needs time to take effect.
        if let (true, Some(Check::Query { expression, condition })) = (ran.is_ok, &prepared.verify) {
            let (verified, text) = self.check_until(expression, *condition, prepared.block.kind == BlockKind::Sh).await;
            ran.result.verified = verified;
            ran.result.summary = format!("{}; {text}", ran.result.summary);
        }
        prepared.block.kind.word().clone_into(&mut ran.result.kind);
        ran.result.text.clone_from(&prepared.text);
        ran.result.secs = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        ran
    }

    /// The answer of the first metrics source that has one, and its name.
    async fn query(&self, query: &str, window: Window, timeout: Duration) -> Result<(String, Vec<Series>), String> {
        let mut why = "no metrics source is configured".to_owned();
        for source in &self.sources.sources {
            let Some(metrics) = source.metrics() else { continue };
            match tokio::time::timeout(timeout, metrics.range(query, window, step_for(window))).await {
                Ok(Ok(answer)) => return Ok((source.name().to_owned(), answer.value)),
                Ok(Err(e)) => why = format!("{}: {}", source.name(), e.summary()),
                Err(_late) => why = format!("{}: no answer within {}", source.name(), time::human_duration(timeout)),
            }
        }
        Err(why)
    }

    async fn run_promql(&self, incident: &Incident, prepared: &PreparedBlock) -> Ran {
        let window = Window::new(incident.window(now()).start, now());
        let (source, series) = match self.query(&prepared.text, window, prepared.block.timeout).await {
            Ok(answer) => answer,
            Err(why) => return failed(format!("the query failed: {why}")),
        };
        let newest = newest(&series);
        let mut summary = describe(&newest);
        let mut verified = None;
        if let Some(Check::Value(condition)) = &prepared.verify {
            verified = (!newest.is_empty()).then(|| newest.iter().all(|(_, v)| condition.holds(*v)));
            summary = format!("{summary}; {}", say(&format!("the value is {condition}"), verified));
        }
        let goes = |condition: &Condition| newest.iter().any(|(_, v)| condition.holds(*v));
        let goes = prepared.block.goto.as_ref().is_some_and(|(condition, _)| goes(condition));
        let output = newest.iter().map(|(name, v)| format!("{name} {}", human_value(*v)).trim().to_owned() + "\n").collect();
        let shown = series.len() as u64;
        let draft = Draft {
            kind: EvidenceKind::Metric,
            source,
            query: prepared.text.clone(),
            window,
            taken_at: now(),
            summary: clean::truncate(&summary, 160),
            body: Body::Series {
                title: clean::truncate(&prepared.text, 120),
                unit: String::new(),
                step_secs: step_for(window),
                threshold: match &prepared.verify {
                    Some(Check::Value(condition)) => Some(condition.threshold),
                    _ => None,
                },
                series,
            },
            gaps: Vec::new(),
            shown,
            total: shown,
        };
        Ran { result: BlockResult { summary, verified, ..BlockResult::default() }, output, draft: Some(draft), is_ok: true, goes }
    }

    async fn run_logql(&self, incident: &Incident, prepared: &PreparedBlock) -> Ran {
        let window = Window::new(incident.window(now()).start, now());
        let filter = LogFilter { raw: Some(prepared.text.clone()), ..LogFilter::default() };
        let mut why = "no log source that takes LogQL is configured".to_owned();
        for source in self.sources.sources.iter().filter(|s| s.kind() == "loki") {
            let Some(logs) = source.logs() else { continue };
            let answer = match tokio::time::timeout(prepared.block.timeout, logs.lines(&filter, window, MAX_LINES)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(e)) => {
                    why = format!("{}: {}", source.name(), e.summary());
                    continue;
                }
                Err(_late) => {
                    why = format!("{}: no answer in time", source.name());
                    continue;
                }
            };
            let total = answer.total.unwrap_or(answer.value.len() as u64);
            let goes = prepared.block.goto.as_ref().is_some_and(|(condition, _)| condition.holds(total as f64));
            let output: String = answer.value.iter().rev().take(20).rev().map(|l| format!("{}\n", l.message)).collect();
            let mut summary = count(total, "line");
            let mut verified = None;
            if let Some(Check::Value(condition)) = &prepared.verify {
                verified = Some(condition.holds(total as f64));
                summary = format!("{summary}; {}", say(&format!("the number of lines is {condition}"), verified));
            }
            let draft = Draft {
                kind: EvidenceKind::Logs,
                source: source.name().to_owned(),
                query: prepared.text.clone(),
                window,
                taken_at: now(),
                summary: summary.clone(),
                shown: answer.value.len() as u64,
                total,
                gaps: answer.gaps,
                body: Body::Lines { lines: answer.value },
            };
            let result = BlockResult { summary, verified, ..BlockResult::default() };
            return Ran { result, output, draft: Some(draft), is_ok: true, goes };
        }
        failed(format!("the query failed: {why}"))
    }

    async fn run_script(&self, prepared: &PreparedBlock, show: &Progress) -> Ran {
        let stream = |text: &str| show(Redactor::new().redact_text(text).into_owned());
        let began = now();
        let finished = match script::run(&prepared.text, &prepared.env, prepared.block.timeout, &stream).await {
            Ok(finished) => finished,
            Err(e) => return failed(crate::telemetry::Explain::failure(&e).summary()),
        };
        let took = time::human_duration(finished.took);
        let (exit_code, summary) = match finished.ending {
            Ending::Exited(code) => (Some(code), format!("exit code {code} after {took}")),
            Ending::Signalled(signal) => (None, format!("ended by signal {signal} after {took}")),
            Ending::TimedOut => (None, format!("stopped after its timeout of {}", time::human_duration(prepared.block.timeout))),
        };
        let mut text = String::new();
        for (name, value) in &prepared.env {
            text.push_str(&format!("{name}={value}\n"));
        }
        text.push_str(&format!("$ {}\n{}", prepared.text.replace('\n', "\n> "), finished.output));
        let mut gaps = Vec::new();
        if finished.left_out > 0 {
            gaps.push(format!("{} bytes of output are left out", finished.left_out));
        }
        let lines = finished.output.lines().count() as u64;
        let draft = Draft {
            kind: EvidenceKind::Note,
            source: self.user.clone(),
            query: clean::truncate(prepared.text.lines().next().unwrap_or_default(), 200),
            window: Window::new(began, now()),
            taken_at: now(),
            summary: clean::truncate(&format!("script: {summary}"), 160),
            body: Body::Text { text },
            gaps,
            shown: lines,
            total: lines,
        };
        Ran {
            result: BlockResult { exit_code, summary, ..BlockResult::default() },
            output: finished.output,
            draft: Some(draft),
            is_ok: exit_code == Some(0),
            goes: false,
        }
    }

    /// Whether the newest values of a query meet a condition; after a script, asked again until they do or the time for it is over. With a
    /// sentence that says so.
    async fn check_until(&self, expression: &str, condition: Condition, waits: bool) -> (Option<bool>, String) {
        let what = format!("{expression} is {condition}");
        let began = Instant::now();
        loop {
            let window = Window::before(now(), CHECK_WINDOW);
            let answer = self.query(expression, window, CHECK_EVERY.max(Duration::from_secs(10))).await;
            let verified = match &answer {
                Ok((_, series)) => {
                    let newest = newest(series);
                    (!newest.is_empty()).then(|| newest.iter().all(|(_, v)| condition.holds(*v)))
                }
                Err(_) => None,
            };
            if verified == Some(true) || !waits || began.elapsed() >= CHECK_FOR {
                let why = answer.err().map(|why| format!(" ({why})")).unwrap_or_default();
                return (verified, format!("{}{why}", say(&what, verified)));
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }
}

/// The command that begins a playbook.
fn start(playbook: &Playbook) -> Command {
    let steps = playbook.steps.iter().map(|s| s.title.clone()).collect();
    Command::StartPlaybook { playbook: playbook.id.clone(), title: playbook.title.clone(), steps }
}

fn failed(summary: String) -> Ran {
    Ran {
        result: BlockResult { summary, ..BlockResult::default() },
        output: String::new(),
        draft: None,
        is_ok: false,
        goes: false,
    }
}

/// A sentence about a check.
fn say(what: &str, verified: Option<bool>) -> String {
    match verified {
        Some(true) => format!("verified: {what}"),
        Some(false) => format!("not verified: it does not hold that {what}"),
        None => format!("not verified: no data to check whether {what}"),
    }
}

/// The newest value of each series, with its labels.
fn newest(series: &[Series]) -> Vec<(String, f64)> {
    let last = |s: &Series| Some((s.title(), s.samples.iter().rev().find(|s| s.value.is_finite())?.value));
    series.iter().filter_map(last).collect()
}

/// The values in one line.
fn describe(newest: &[(String, f64)]) -> String {
    let shown = |(name, v): &(String, f64)| if name.is_empty() { human_value(*v) } else { format!("{name} {}", human_value(*v)) };
    match newest {
        [] => "no data".to_owned(),
        all if all.len() <= 4 => all.iter().map(shown).collect::<Vec<_>>().join(", "),
        all => {
            let values = || all.iter().map(|(_, v)| *v);
            let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
            format!("{}, from {} to {}", count(all.len(), "value"), human_value(low), human_value(high))
        }
    }
}

async fn run_http(prepared: &PreparedBlock) -> Ran {
    match send(prepared).await {
        Ok(ran) => ran,
        Err(why) => failed(format!("the request failed: {why}")),
    }
}

async fn send(prepared: &PreparedBlock) -> Result<Ran, String> {
    let mut lines = prepared.text.lines();
    let first = lines.next().unwrap_or_default();
    let (method, url) = first.split_once(' ').unwrap_or(("GET", first));
    let method = match method {
        "GET" => reqwest::Method::GET,
        "HEAD" => reqwest::Method::HEAD,
        other => return Err(format!("{other} is not allowed in an http block, only GET and HEAD; use a script")),
    };
    let client = client_builder(&TlsConfig::default()).map_err(|e: SourceError| e.summary())?;
    let client = client.timeout(prepared.block.timeout).build().map_err(|e| e.to_string())?;
    let mut request = client.request(method, url.trim());
    for header in lines.take_while(|l| !l.trim().is_empty()) {
        let (name, value) = header.split_once(':').ok_or_else(|| format!("'{header}' is not a header"))?;
        request = request.header(name.trim(), value.trim());
    }
    let began = now();
    let text = |e: reqwest::Error| Failure::new("cannot send it").because(&e.without_url()).summary();
    let mut response = request.send().await.map_err(text)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(text)? {
        let room = MAX_RESPONSE - body.len();
        body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        if body.len() >= MAX_RESPONSE {
            break;
        }
    }
    let output = clean::block(&String::from_utf8_lossy(&body));
    let (from, to) = match &prepared.verify {
        Some(Check::Status { from, to }) => (*from, *to),
        _ => (100, 399),
    };
    let holds = (from..=to).contains(&status);
    let mut summary = format!("status {status}");
    let mut verified = None;
    if let Some(check @ Check::Status { .. }) = &prepared.verify {
        verified = Some(holds);
        summary = format!("{summary}; {}", say(&check.to_string(), verified));
    }
    let lines = output.lines().count() as u64;
    let draft = Draft {
        kind: EvidenceKind::Note,
        source: "http".to_owned(),
        query: first.to_owned(),
        window: Window::new(began, now()),
        taken_at: now(),
        summary: summary.clone(),
        body: Body::Text { text: format!("status {status}\n\n{output}") },
        gaps: if body.len() >= MAX_RESPONSE {
            vec![format!("only the first {} KiB are kept", MAX_RESPONSE / 1024)]
        } else {
            Vec::new()
        },
        shown: lines,
        total: lines,
    };
    let is_ok = holds || verified.is_some();
    Ok(Ran {
        result: BlockResult { summary, verified, ..BlockResult::default() },
        output,
        draft: Some(draft),
        is_ok,
        goes: false,
    })
}

fn prepare_block(i: &Incident, playbook: &Playbook, block: &Block, given: &Values) -> Result<PreparedBlock, Refusal> {
    let query = match &block.verify {
        Some(Check::Query { expression, .. }) => expression.as_str(),
        _ => "",
    };
    let mut values = Values::new();
    for name in used_in(&block.text).into_iter().chain(used_in(query)).chain(used_in(block.undo.as_deref().unwrap_or_default())) {
        if let Some(value) = value_of(i, playbook, name, given)? {
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
    let undo =
        block.undo.as_deref().map(|undo| substitute(BlockKind::Sh, undo, &values).map_or_else(|_| undo.to_owned(), |p| p.text));
    let argv = (block.kind == BlockKind::Sh).then(|| script::argv(&prepared.text));
    Ok(PreparedBlock { block: block.clone(), text: prepared.text, argv, env: prepared.env, verify, undo })
}

/// The value of a variable: as given, of the incident, of a label of its alerts, or the default. `None` for a name that the playbook does
/// not know.
fn value_of(i: &Incident, playbook: &Playbook, name: &str, given: &Values) -> Result<Option<String>, Refusal> {
    if let Some(value) = given.get(name) {
        return Ok(Some(value.clone()));
    }
    let missing = |description: &str| {
        Refusal::invalid(format!("${name} has no value: {description}")).advise(format!("Give it with --var {name}=VALUE."))
    };
    let built_in = BUILT_IN.iter().find(|(b, _)| *b == name);
    if let Some((_, description)) = built_in {
        let value = match name {
            "incident" => Some(i.id().to_string()),
            "title" => Some(i.head.title.clone()),
            "severity" => Some(i.head.severity.to_string()),
            "since" => Some(i.impact_started_at().rfc3339()),
            _ => i
                .impact
                .services
                .first()
                .cloned()
                .or_else(|| i.alerts.iter().find_map(|a| service_of(&a.labels)).map(str::to_owned)),
        };
        return value.map(Some).ok_or_else(|| missing(description));
    }
    let Some(variable) = playbook.variables.get(name) else { return Ok(None) };
    let variable_name = |label: &str| {
        label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect::<String>()
    };
    let of_alert =
        |a: &LinkedAlert| a.labels.iter().find(|(k, v)| variable_name(k) == name && !v.is_empty()).map(|(_, v)| v.clone());
    let mut found: Vec<String> = i.alerts.iter().filter_map(of_alert).collect();
    found.sort();
    found.dedup();
    match (found.as_slice(), &variable.default) {
        ([one], _) => Ok(Some(one.clone())),
        ([], Some(default)) => match default.strip_prefix('$').filter(|n| BUILT_IN.iter().any(|(b, _)| b == n)) {
            Some(other) => value_of(i, playbook, other, given).map_err(|_| missing(&variable.description)),
            None => Ok(Some(default.clone())),
        },
        ([], None) => Err(missing(&variable.description)),
        (several, _) => Err(Refusal::invalid(format!("the alerts have several values for ${name}: {}", several.join(", ")))
            .advise(format!("Choose one with --var {name}=VALUE."))),
    }
}
