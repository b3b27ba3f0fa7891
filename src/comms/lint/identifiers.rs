//! Names of machines, components and places in networks: by what the incident knows, else by the shape of the words. Ordinary words are
//! letters; a name that was made for a program has digits, dots, dashes or capitals inside.

use super::phrases::{Pattern, find, is_match, patterns};
use super::{HitKind, Hits, is_ordinary_word, occurrences};
use crate::telemetry::Names;

patterns! {
    /// A place without an article, and how a sentence goes on after it: `problems in gateway, which`, `the problem is with gateway and`.
    WITHIN = r"(?i)\b(?:in|with|to|by|from|on|of|behind|via|through|at)\s+$";
    GOES_ON = r"(?i)^(?:[.,;:!?)]|\s*$|\s+(?:and|which|that|is|are|was|were|has|have|had|so|for|again|now|today|tonight|since|at|but|because|until|did|does|will)\b)";
    /// IPv4 with an optional port or prefix, IPv6 with at least two groups, MAC addresses, ports.
    ADDRESS = r"(?ix)
        \b(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2}|:\d{1,5})?\b
        | \b(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}\b | \b(?:[0-9a-f]{1,4}:){1,6}:(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?(?:/\d{1,3})?
        | \b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b | \b(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}\b
        | \b(?:tcp|udp)(?:\s*/\s*|\s+)(?:ports?\s+)?\d{1,5}\b | \b\d{1,5}\s?/\s?(?:tcp|udp)\b | \b(?:answer\w*|respond\w*|listen\w*|reach\w*|connect\w*)\s+(?:\w+\s+)?(?:on|to)\s+\d{4,5}\b | \bports?\s+(?:number\s+)?\d{2,5}\b | \blisten(?:s|ed|ing)?\s+(?:again\s+)?on\s+\d{2,5}\b
        | (?:^|\s):\d{2,5}\b(?:[\s,.;)]|$) | \b[0-9a-f]{2}:(?:\d[a-f]|[a-f][0-9a-f])(?::[0-9a-f]{2}){1,4}\b | \bAS\d{3,6}\b
        | \b(?:open(?:ed|ing)?|on|block(?:ed|ing)?|closed?|through)\s+(?:443|465|587|993|1433|1521|1883|2181|2379|3306|3389|5060|5061|5432|5672|6379|6443|8000|8080|8443|9090|9092|9093|9200|11211|27017)\b";
    /// Four numbers that are a version.
    A_VERSION = r"(?i)\b(?:version|release|build|firmware|update|app|v)[\s.]*$";
    /// Gates and docks have numbers as well.
    A_PORT_OF_CALL = r"(?i)\b(?:gate|terminal|dock|ferry|ship|usb|hdmi|charging|ethernet)\s*$";
    URL = r"(?i)\bhttps?://([a-z0-9][a-z0-9.-]*(?::\d+)?)[^\s,;)]*";
    /// Paths of files, and buckets.
    PATH = r"(?ix)
        \b[a-z]:\\[^\s,;]+ | (?:^|\s)\\\\[a-z0-9][^\s,;]+
        | (?:^|[\s(])/(?:var|etc|opt|srv|home|usr|mnt|data|tmp|dev|proc|root|run|vol\w*|export\w*|nfs)/[^\s,;)]+
        | \b(?:s3|gs|hdfs|file|nfs|smb|abfss?|jdbc:[a-z]+|postgres(?:ql)?|mysql|redis|amqps?|mongodb)://[^\s,;)]+";
    /// Names under internal domains, machines of clouds, and a name with a port.
    INTERNAL = r"(?ix)^(?:
        (?:[a-z0-9_-]+\.)+(?:internal|local|localdomain|lan|corp|intra|intranet|svc|arpa|consul|cluster|private|dmz|prod|prd|stg|ad)(?::\d+)?
        | (?:[a-z0-9-]+\.)+compute\.amazonaws\.com | ip(?:-\d+){4}(?:\..*)? | i-[0-9a-f]{8,17} | localhost(?::\d+)?
        | [a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*:\d{2,5} )$";
    /// Letters and then digits: `mbx14`, `vmhost31`, `SRVBOOK14`.
    NUMBERED = r"^(?:[a-z]{3,}\d{1,4}[a-z]?|[A-Z]*(?:SRV|SVR|SQL|DB|WEB|APP|HOST|VM|ESX|RTR|LDAP|NAS|SAN|PROD|PRD|STG)[A-Z]*\d{1,4}|[A-Z]{3,}0\d{1,2}|(?i:db|vm|lb|gw|ns|dc|fw|sw|es|pg|dbs|srv|web|app)\d{1,4})$";
    /// A part of a name with dashes or dots that mixes letters with digits: `rtr1`, `9f2c`, `a11`.
    MIXED = r"^(?:[a-z]+\d+[a-z0-9]*|\d+[a-z]+\d*[a-z0-9]*|[0-9a-f]*\d[0-9a-f]*[a-f][0-9a-f]*)$";
    /// Not a machine: `1st`, `24h`, `5g`, `mp3`.
    MIXED_WORD = r"^(?:\d+(?:st|nd|rd|th|h|hr|hrs|min|mins|s|d|g|k|m|x|am|pm|px|mb|gb|tb|kb|kg|km|ft|in|p|day|days|year|week|month|fold|s)|mp\d|v\d+|q[1-4]|h[12]|b2[bc]|ipv[46]|web\d|oauth2|sha\d+|base64|utf8|covid\d*)$";
    /// A machine's kind at the end of a part of a name, and where it runs.
    MACHINE_PART = r"(?i)^(?:.*(?:srv|svr|host|vm|sql|node|server)|db|prd|prod|stg|uat|rtr|fw|esx|nas|san|ldap|dc\d*)$";
    /// A machine that is one of several: `pgreplica-b`.
    COPY_PART = r"^[a-z]*(?:replica|primary|standby|node|host|server|srv|db)$";
    MACHINE_NOUN = r"(?i)^(?:db|web|app|api|cache|node|host|server|srv|vm|worker|master|primary|replica|redis|kafka|pg|postgres|mysql|lb|proxy|queue|broker|es|search|k8s|kube|nas|san|bastion|gw|edge|rack|shard|ip|core|sw|fw|rtr|cluster|az|zone|pod|blade)$";
    /// The last part of the name of a component.
    COMPONENT_PART = r"^(?:api|worker|service|svc|server|proxy|gateway|db|handler|processor|scheduler|consumer|producer|manager|controller|agent|daemon|store|cache|queue|renderer|indexer|loader|exporter|importer|fetcher|runner|builder|job|backend|frontend|sync|syncer|dispatcher|engine|batch|poller|watcher|router|mailer|reader|writer|listener|collector|monitor|broker|bot|cron|etl|core|svr|resolver|aggregator|publisher|subscriber|adapter|connector|orchestrator|webhook|ingest|relay|limiter|enforcer|planner|notifier|validator|generator|converter|parser|crawler|archiver|sender|receiver|uploader|downloader|tracker|calculator|matcher|mapper|encoder|transcoder|sequencer|allocator|balancer|reconciler|operator|provider|registry|graph|bridge|calc|service\d*|v\d+|[a-z]+(?:ator|izer|iser|ifier|orer|dler))$";
    /// A machine by its own name: `the node called gandalf`.
    CALLED_MACHINE = r"(?i)\b(?:nodes?|machines?|servers?|hosts?|box|pods?|vm|router|switch)\s+(?:called|named)\s+([A-Za-z][A-Za-z0-9-]+)";
    SHORTENED = r"^(?:[a-z]{3,}(?:svc|srv|db|api|mq|sql)|[a-z]{4,}(?:service|proxy|daemon|gateway|server))$";
    /// A word with capitals inside, or with underscores.
    HUMPS = r"^(?:[A-Z][a-z0-9]+(?:[A-Z]+[a-z0-9]*)+\d*|[A-Z]{2,}[a-z][a-z0-9]+(?:[A-Z][a-z0-9]*)*\d*|[a-z]{2,}[a-z0-9]*(?:[A-Z][a-z0-9]+)+|[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+)$";
    /// Trademarks that are written like that, and words of everyday use.
    KNOWN_HUMPS = r"^(?:PayPal|MasterCard|YouTube|WhatsApp|iPhone|iPad|iCloud|iOS|macOS|GitHub|GitLab|BitBucket|LinkedIn|SharePoint|OneDrive|PowerPoint|PowerShell|JavaScript|TypeScript|FaceTime|TikTok|PlayStation|AirPods?|AirDrop|FedEx|eBay|AliExpress|WordPress|WooCommerce|HubSpot|QuickBooks|FreshDesk|ZenDesk|DocuSign|DropBox|OpenAI|ChatGPT|StackOverflow|NordVPN|McDonalds?|McAfee|LiveScore|BlackBerry|ThinkPad|MacBook|OnePlus|GeForce|AdWords|AdSense|YouTuber|SalesForce|NetSuite|BigCommerce|MySpace|DuckDuckGo|DoorDash|CityJet|EasyJet|WestJet|AirAsia|SunExpress|DeutscheBahn|BlaBlaCar|GoDaddy|CloudFlare|DigitalOcean|MongoDB|PostgreSQL|MySQL|NoSQL|GraphQL|OAuth|OpenID|WiFi|LaTeX|eSIM|eID|eTicket|VoIP|IoT|PDFs?|CSVs?|APIs?|URLs?|IDs|PINs|ATMs|CDs|DVDs|TVs|PCs|SMSs?|MMS|SIMs|FAQs?|Mc[A-Z]\w+|Mac[A-Z]\w+|O[A-Z]\w+|De[A-Z]\w+|La[A-Z]\w+|Van[A-Z]\w+)$";
    /// What only a program or a machine does, after its name.
    RUNS = r"(?ix)^[\s`'\x22]*(?:
        (?:micro)?(?:service|api|pods?|database|db|cluster|nodes?|deployment|instances?|containers?|queue|topic|backend|job|worker|app|server|component|module|engine|layer|process|subsystem|stack|microservice|daemon)s?\b
        | (?:is|was|are|were|has\s+been|had\s+been|keeps|kept|being|got|gets)\s+(?:now\s+|still\s+|currently\s+|being\s+|not\s+|again\s+)*(?:restart(?:ed|ing)|redeployed|reject(?:ed|ing)|return(?:ed|ing)\s+(?:errors|nothing)|drop(?:ped|ping)|refus(?:ed|ing)|tim(?:ed|ing)\s+out|throw(?:n|ing)|talking|accepting|answering|responding|crash(?:ed|ing)|scal(?:ed|ing)|overloaded|out\s+of\s+(?:memory|disk)|running|rebuilt|patched|moved|rolled|getting|behind|catching|handling|healthy|unhealthy|stuck|stopped|switched|turned|started|scheduled|paused|flapping|degraded|falling|reading|writing|sending|calling|processing|consuming|unreachable|saturated)\b
        | (?:restarts?|restarted|crash(?:es|ed)|refuse[sd]?|drops?|dropped|rejects?|rejected|times?\s+out|timed\s+out|throws?|threw|returns?|returned|calls?|holds|held|reads?|writes?|wrote|consumes?|lost|ran\s+out|recovers|recovered|struggles|struggled|catches|runs|hangs|hung|answers|responds|stopped|started|sends)\b
        | (?:cannot|can't|could\s+not|couldn't|can\s+no\s+longer|did\s+not|does\s+not|doesn't|didn't)\s+(?:reach|talk|connect|write|read|keep|start|respond|answer|handle|find|get)\b
        | (?:to|and)\s+[a-z-]+-(?:api|service|db)\b )";
    /// What stands before the name of a component.
    CALLED = r"(?ix)(?:service|component|deployment|pods?|containers?|job|namespace|microservice|backend|database|cluster|host|server|node|behind|front\s+of|waiting\s+on|depends\s+on|capacity\s+(?:to|for|into)|memory\s+(?:to|for)|given|gave|giving|give|(?:re)?start(?:ed|ing)?|scal(?:e|ed|ing)(?:\s+up|\s+down|\s+out)?|between|instances?\s+of|copies\s+of|versions?\s+(?:\S+\s+)?of|bugs?\s+in|errors?\s+in|(?:releas|deploy|redeploy|rollback|roll\s+back|rolled\s+back|updat|patch|reboot|restor|upgrad)(?:e|ed|ing)?|replies\s+from|responses\s+from|answers?\s+from|(?:requests?|calls?|traffic|connections?|messages?|queries)\s+(?:to|from)|talk(?:s|ing)?\s+to|calls|(?:turned|switched|shut|turning|switching|shutting)\s+(?:off|on|down)|stopped|killed|the\s+new|the\s+old)[\s`'\x22]*$";
    /// `the inventory service`: an inner part by what it does.
    INNER_SERVICE = r"(?i)\b(?:the|our|an?|its)\s+((?:inventory|auth\w*|session|identity|catalogu?e?|pricing|recommendations?|ledger|token|config\w*|scheduler|scheduling|queue|index\w*|metadata|entitlements?|cart|event|events|cache|caching|background|internal|upstream|backend|back-end|notification|settlement|reconciliation|ranking|search|user|profile|quota|routing|orchestration|ingest\w*|data|lookup|messaging|order|stock|payment|payments|billing|checkout|gateway|fraud|risk|media|image|geo\w*)[\s-](?:micro)?(?:service|api|microservice|daemon|worker|cluster|backend|database|component|module|subsystem|engine))s?\b";
    /// A code name before what the program does: `Kraken, which calculates your usage`.
    DOES = r"\b([A-Z][a-z]{3,15}),\s+(?:which|the\s+(?:program|tool|system|service|component|part|software)\s+(?:that|which))\s+(?:stores|holds|keeps|calculates|computes|handles|sends|processes|serves|runs|manages|routes|feeds|builds|renders|checks|collects|writes|reads|creates|generates|delivers|powers|controls)\b";
    /// Names of programs by the domain of their makers.
    PACKAGE = r"\b(?:com|org|net|io)\.[a-z][a-z0-9]*(?:\.[a-z][a-z0-9]*)+\b";
    INTERNAL_TOOL = r"(?i)\binternal\s+(?:[a-z]+\s+)?(?:tool|system|service|component|dashboard|api|program|database|server|network|queue|platform)s?\b";
    PROJECT = r"\b(?:[Pp]roject|[Cc]odename|[Cc]ode-named)\s+[A-Z][a-z]+\b";
    QUOTED = r"`[^`\s]{2,40}`|(?:^|\s)#[a-z][a-z0-9_-]{2,}\b";
    TOKEN = r"[A-Za-z0-9][A-Za-z0-9._:/-]*[A-Za-z0-9]";
    /// What makes the next noun the name of something: a verb of running, or a conjunction, and no article.
    BEFORE_SUBJECT = r"(?i)(?:^|[.!?:;,]\s*|\b(?:because|since|as|until|till|while|when|after|before|that|and|but|so|once|if|now|by|from|of|to|with|on|in|off|behind|restarted|restarting|scaled|stopped|started)\s+)$";
    IS_SUBJECT = r"(?i)^\s+(?:is|was|has|had|were|are|keeps|kept|can|cannot|could|did|does|stopped|started|returned|returns|failed|fails|crashed|needs|needed|ran|runs|went|came|got|lost|will|would|stays|stayed)\b";
    COMPOUND = r"^[a-z]{2,}(?:-[a-z]{2,}){1,3}$";
    /// Compounds that are no names, by their parts.
    PLAIN_COMPOUND = r"^(?:self|non|pre|post|re|co|in|on|off|up|set|sign|log|check|pay|pick|drop|e|long|short|high|low|well|most|all|single|multi|cross|follow|back|end|anti|semi|mid|half|full|part|third|first|second|next|same|real|one|two|three|four|five|ten|large|small|high|new|old|over|under|out|by|so|far|near|wi|add|opt|built|stand|wide|state|day|to|step|know|how|year|last|top|ex|vice|self|user|customer|time|error|warm|cold|hard|soft|left|right)-|-(?:in|on|up|off|out|by|to|down|over|through|free|based|related|wide|like|term|time|party|side|life|way|only|friendly|specific|ready|known|made|case|end|date|hour|minute|day|week|month|year|old|long|first|hand|scale|level|line|box|top|fi|art|ins|ups|outs|offs|being|law|class|fold|stop|ended|facing|aware|driven|style|size|sized|time)$";
}

/// Whether a place of a text lies in the address of a page.
pub(super) fn is_in_url(text: &str, start: usize) -> bool {
    find(&URL, text).any(|url| url.start() <= start && start < url.end())
}

/// Places in networks.
pub(super) fn addresses(hits: &mut Hits<'_>) {
    for found in find(&ADDRESS, hits.text) {
        let before = hits.text.get(..found.start()).unwrap_or_default();
        if !is_match(&A_VERSION, before) && !is_match(&A_PORT_OF_CALL, before) {
            let reason = "A network address. It says nothing to customers, and helps attackers.";
            hits.push(HitKind::Address, found.start(), found.end(), reason);
        }
    }
}

const MACHINE: &str = "An internal machine or place. Name what customers use instead.";
const SERVICE: &str = "An internal service. Name what customers use instead.";

/// Machines by their names or by the shape of their names, and paths.
pub(super) fn machines(hits: &mut Hits<'_>, names: &Names) {
    for name in &names.machines {
        for (start, end) in occurrences(hits.text, name) {
            let is_bare = is_subject(hits.text, start, end) && !names.services.contains(name);
            if !is_ordinary_word(name) || is_bare || is_used(hits.text, start, end) {
                hits.push(HitKind::Hostname, start, end, MACHINE);
            }
        }
    }
    hits.find(&PATH, HitKind::Hostname, MACHINE);
    for name in CALLED_MACHINE.iter().flat_map(|p| p.captures_iter(hits.text)).filter_map(|c| c.get(1)) {
        hits.push(HitKind::Hostname, name.start(), name.end(), MACHINE);
    }
    for url in URL.iter().flat_map(|p| p.captures_iter(hits.text)) {
        if let (Some(whole), Some(host)) = (url.get(0), url.get(1))
            && (is_machine(host.as_str()) || is_match(&ADDRESS, host.as_str()))
        {
            hits.push(HitKind::Hostname, whole.start(), whole.end(), MACHINE);
        }
    }
    for token in find(&TOKEN, hits.text) {
        if is_machine(token.as_str()) {
            hits.push(HitKind::Hostname, token.start(), token.end(), MACHINE);
        }
    }
}

/// Whether a word has the shape of a machine's name.
fn is_machine(word: &str) -> bool {
    if is_match(&INTERNAL, word) || is_match(&NUMBERED, word) && !is_match(&MIXED_WORD, &word.to_lowercase()) {
        return true;
    }
    if word.contains(['/', ':']) {
        return false;
    }
    let parts: Vec<&str> = word.split(['-', '.']).collect();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let words = parts.iter().filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphabetic())).count();
    let is_lower = !word.bytes().any(|b| b.is_ascii_uppercase());
    let begins = parts.first().is_some_and(|p| p.starts_with(|c: char| c.is_ascii_alphabetic()));
    if parts.len() < 2 || !begins {
        return false;
    }
    let has_noun = parts.iter().any(|p| is_match(&MACHINE_NOUN, p));
    let is_mixed = |part: &&str| is_match(&MIXED, &part.to_lowercase()) && !is_match(&MIXED_WORD, &part.to_lowercase());
    if word.contains('-') && !word.contains('.') {
        let ends_in_number = parts.last().is_some_and(|p| is_number(p) && p.len() <= 4);
        let ends_in_letter = parts.last().is_some_and(|p| p.len() == 1 && !is_number(p)) && parts.len() > 2;
        // `db-prod-1`, `web-1`, `web-standby-b`, `lon2-app-a11`, `mealsrv-old`, `PAS-SQL-PRD`.
        let is_copy =
            parts.last().is_some_and(|p| p.len() == 1 && !is_number(p)) && parts.iter().any(|p| is_match(&COPY_PART, p));
        return ends_in_letter && is_lower && has_noun
            || is_copy && is_lower
            || ends_in_number && (has_noun || is_lower && words >= 2)
            || parts.iter().any(is_mixed)
                && (is_lower || has_noun)
                && !parts.last().is_some_and(|p| is_match(&COMPONENT_PART, p))
            || is_lower && parts.iter().any(|p| p.len() > 2 && is_match(&MACHINE_PART, p) && !is_match(&COMPONENT_PART, p))
            || !is_lower
                && word.to_uppercase() == word
                && (parts.iter().any(|p| is_match(&NUMBERED, p))
                    || words >= 2 && parts.iter().any(|p| is_match(&MACHINE_PART, p))
                    || words >= 2 && parts.last().is_some_and(|p| is_number(p) && p.len() <= 2));
    }
    let is_inner =
        |p: &&str| matches!(*p, "corp" | "int" | "internal" | "intra" | "lan" | "prd" | "mgmt" | "svc" | "infra" | "ops");
    if parts.len() > 2 && parts.iter().any(is_inner) {
        return true;
    }
    // `core-rtr1.zrh`, `db3.eu`: the first label is numbered. `www2.example.com` is not meant.
    parts.first().is_some_and(|p| is_mixed(p) && p.len() > 2 && !p.starts_with("www")) && is_lower
}

/// Services by their names, and components by the shape of their names or by what they do.
pub(super) fn services(hits: &mut Hits<'_>, names: &Names) {
    let text = hits.text;
    for name in &names.services {
        for (start, end) in occurrences(text, name).chain(spoken(text, name)) {
            if !is_ordinary_word(name) || is_used(text, start, end) {
                hits.push(HitKind::Service, start, end, SERVICE);
            }
        }
    }
    hits.find(&QUOTED, HitKind::Service, SERVICE);
    for pattern in [&PROJECT, &PACKAGE, &INTERNAL_TOOL] {
        hits.find(pattern, HitKind::Service, SERVICE);
    }
    for found in DOES.iter().flat_map(|p| p.captures_iter(text)).filter_map(|c| c.get(1)) {
        hits.push(HitKind::Service, found.start(), found.end(), SERVICE);
    }
    for found in INNER_SERVICE.iter().flat_map(|p| p.captures_iter(text)).filter_map(|c| c.get(1)) {
        hits.push(HitKind::Service, found.start(), found.end(), SERVICE);
    }
    for token in find(&TOKEN, text) {
        if is_component(text, token.as_str(), token.start(), token.end()) {
            hits.push(HitKind::Service, token.start(), token.end(), SERVICE);
        }
    }
}

/// Whether a name that could be a word is used here as that of a program or a machine.
fn is_used(text: &str, start: usize, end: usize) -> bool {
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    let part = text.get(start..end).unwrap_or_default().to_lowercase();
    let is_within = !PAGES.contains(&part.as_str()) && is_match(&WITHIN, before) && is_match(&GOES_ON, after);
    is_within || is_match(&RUNS, after) || is_match(&CALLED, before) || is_match(&OPERATED, before) || begins_small(text, start)
}

/// Names of services that are also what customers call a page or a step.
const PAGES: [&str; 18] = [
    "checkout", "login", "search", "cart", "basket", "billing", "account", "accounts", "profile", "payment", "payments",
    "orders", "booking", "chat", "mail", "support", "home", "delivery",
];

/// Whether something is said of a word without an article, as of a name: `because olympia is down`.
fn is_subject(text: &str, start: usize, end: usize) -> bool {
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    is_match(&BEFORE_SUBJECT, before) && is_match(&IS_SUBJECT, after)
}

/// The places of a component's name that is written as words: `Payment API` of `payment-api`. Without the name of a part, such as `api`,
/// the words may be those of customers: `seat map`.
fn spoken(text: &str, name: &str) -> Vec<(usize, usize)> {
    let words = name.replace(['-', '_'], " ");
    match words.rsplit_once(' ') {
        Some((_, last)) if is_match(&COMPONENT_PART, &last.to_lowercase()) => occurrences(text, &words).collect(),
        _ => Vec::new(),
    }
}

/// Whether a sentence begins with a small letter here: names of programs keep theirs.
fn begins_small(text: &str, start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default().trim_end();
    let is_small = text.get(start..).is_some_and(|t| t.starts_with(char::is_lowercase));
    is_small && (before.is_empty() && text.contains(' ') || before.ends_with(['.', '!', '?']))
}

/// Whether a word has the shape of a component's name, or is used like one.
fn is_component(text: &str, word: &str, start: usize, end: usize) -> bool {
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    // `authsvc`, `ordersdb`.
    if is_match(&SHORTENED, word) {
        return true;
    }
    if is_match(&HUMPS, word) {
        return !is_match(&KNOWN_HUMPS, word) && !before.ends_with(['.', '@', '/']);
    }
    if word.contains(['/', ':', '.']) || !word.contains('-') || word.starts_with("self-") {
        // `Hermes is not answering`: a name that is called off or on, without an article.
        let is_name =
            word.len() > 3 && word.starts_with(char::is_uppercase) && word.bytes().skip(1).all(|b| b.is_ascii_lowercase());
        let is_inside = !before.trim_end().is_empty() && !before.trim_end().ends_with(['.', '!', '?']);
        return is_name
            && (is_match(&SWITCHED, before)
                || is_inside && is_match(&AFTER_CONJUNCTION, before) && is_match(&RUNS, after)
                || is_match(&BROUGHT, before) && is_match(&BACK, after));
    }
    let last = word.rsplit('-').next().unwrap_or_default();
    // A compound without an article that does something.
    let small = word.to_lowercase();
    if is_match(&COMPONENT_PART, &last.to_lowercase()) && (word == small || !is_match(&PLAIN_COMPOUND, &small)) {
        return true;
    }
    let begins = before.is_empty() || before.trim_end().ends_with(['.', '!', '?']);
    if begins && word != small && is_match(&COMPOUND, &small) && !is_match(&PLAIN_COMPOUND, &small) && is_match(&RUNS, after) {
        return true;
    }
    is_match(&COMPOUND, word)
        && !is_match(&PLAIN_COMPOUND, word)
        && (is_subject(text, start, end) || is_match(&BEFORE_SUBJECT, before) && begins_small(text, start))
        || is_match(&COMPOUND, word)
            && !is_match(&PLAIN_COMPOUND, word)
            && (is_match(&CALLED, before) || is_match(&SWITCHED, before))
}

patterns! {
    AFTER_CONJUNCTION = r"(?i)\b(?:because|since|as|until|till|while|when|after|before|that|once|if|whether)\s+$";
    BROUGHT = r"(?i)\b(?:turn(?:ed|ing)?|switch(?:ed|ing)?|bring(?:ing)?|brought|tak(?:e|ing)|took|get(?:ting)?)\s+$";
    BACK = r"(?i)^\s+(?:back|up|down|online|offline)\b";
    /// What is only done to programs and machines.
    OPERATED = r"(?i)\b(?:restart(?:ed|ing)?|re-?deploy(?:ed|ing)?|roll(?:ed|ing)?\s+back|scal(?:e|ed|ing)(?:\s+(?:up|down|out))?|reboot(?:ed|ing)?|patch(?:ed|ing)?)\s+(?:the|our)\s+$";
    SWITCHED = r"(?i)\b(?:turned\s+off|switched\s+off|shut\s+down|restarted|restarting|rebooted|rebooting|redeployed|rolled\s+back|scaled\s+up|disabled|re-enabled|turning\s+off|switching\s+off)\s+$";
}
