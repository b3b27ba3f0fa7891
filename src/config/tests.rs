use super::*;

fn load(text: &str) -> Result<Config, ConfigError> {
    let mut config = Config::defaults();
    file::apply(&mut config, text, Path::new("config.toml"), crate::sources::registry::check).map(|()| config)
}

fn message(text: &str) -> String {
    load(text).unwrap_err().failure().line()
}

#[test]
fn accepts_the_documented_sample() {
    let config = load(include_str!("../../docs/config.sample.toml")).unwrap();
    assert_eq!(
        config.sources.iter().map(|s| s.kind.as_str()).collect::<Vec<_>>(),
        ["prometheus", "alertmanager", "loki", "file", "kubernetes", "git", "changes"]
    );
    assert!(
        (config.slo.objective_of("checkout") - 0.9995).abs() < 1e-9 && (config.slo.objective_of("other") - 0.999).abs() < 1e-9
    );
    assert_eq!(config.assistant.unwrap().base_url, "http://127.0.0.1:11434/v1");
}

#[test]
fn errors_name_the_line_the_key_and_the_remedy() {
    for (text, parts) in [
        ("\n[[sources]]\nname = \"a\"\ntyp = \"prometheus\"", ["config.toml:4", "unknown key 'typ'", "Did you mean 'type'"]),
        ("[asistant]\nmodel = \"x\"", ["config.toml:1", "unknown key 'asistant'", "Did you mean 'assistant'"]),
        ("[[sources]]\nname = \"a\"\ntype = \"promethius\"", ["config.toml:1", "source 'a'", "Did you mean 'prometheus'"]),
        ("[[sources]]\nname = \"a\"\ntype = \"prometheus\"", ["config.toml:1", "source 'a'", "url"]),
        (
            "[[sources]]\nname = \"a\"\ntype = \"kubernetes\"\nurl = \"http://x\"\nnamespace = \"a/../b\"",
            ["config.toml:1", "source 'a'", "'a/../b' is not a Kubernetes namespace"],
        ),
        ("[[sources]]\nname = \"a\"\ntype = \"git\"", ["config.toml:1", "source 'a'", "a path"]),
        (
            "[[sources]]\nname = \"a\"\ntype = \"prometheus\"\nurl = \"http://u:p@h\"",
            ["source 'a'", "must not contain a password", "password_env"],
        ),
        ("[[sources]]\nname = \"a\"\ntype = \"prometheus\"\nurl = \"ftp://h\"", ["source 'a'", "http://", ":1"]),
        ("[assistant]\nbase_url = \"http://h\"\nmodel = \"m\"\ncontext_tokens = 10", ["[assistant]", "context_tokens", "1536"]),
        ("[store]\nurl = 7", ["config.toml:2", "url", "string"]),
        ("[slo]\nobjective = 100.0", ["[slo] objective = 100", "below 100", "99.9"]),
        ("[severity]\nSEV9 = { meaning = \"x\" }", ["[severity]", "SEV9", "SEV1"]),
        ("x = ", ["config.toml:1", "", ""]),
    ] {
        let message = message(text);
        assert!(parts.iter().all(|p| message.contains(p)), "{text}\n-> {message}");
    }
}

#[test]
fn rejects_two_sources_with_the_same_name() {
    let one = "[[sources]]\nname = \"a\"\ntype = \"file\"\npaths = [\"x\"]\n";
    assert!(message(&format!("{one}{one}")).contains("two sources are named 'a'"));
}

#[test]
fn severity_rows_override_meaning_and_update_interval() {
    let config = load("[severity]\nSEV1 = { meaning = \"all is lost\", update_minutes = 10 }").unwrap();
    assert_eq!(config.matrix.meaning(crate::incident::Severity::Sev1), "all is lost");
    assert_eq!(config.matrix.update_every(crate::incident::Severity::Sev1), Some(Duration::from_mins(10)));
}

#[test]
fn reads_secrets_from_files_and_commands_and_never_prints_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "hunter2\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(SecretRef::File(path.display().to_string()).resolve().unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let secret = SecretRef::File(path.display().to_string()).resolve().unwrap();
    assert!(!format!("{secret:?}").contains("hunter2"));
    #[cfg(unix)]
    {
        use secrecy::ExposeSecret;
        assert_eq!(SecretRef::Command(CommandLine::Shell("echo abc".into())).resolve().unwrap().expose_secret(), "abc");
        assert!(
            SecretRef::Command(CommandLine::Shell("echo no >&2; exit 3".into()))
                .resolve()
                .unwrap_err()
                .to_string()
                .contains("no")
        );
    }
    assert!(SecretRef::Env("WARROOM_TEST_UNSET".into()).resolve().is_err());
}

#[test]
fn accepts_commands_as_strings_or_lists() {
    let text = "[oncall]\nshow = \"echo ana\"\npage = [\"page\", \"{name}\"]\n[store]\nurl = \"x\"\npassword_command = [\"pass\", \"db\"]";
    let config = load(text).unwrap();
    assert_eq!(config.oncall.show.unwrap().argv().last().unwrap(), "echo ana");
    assert_eq!(config.oncall.page.unwrap().argv(), ["page", "{name}"]);
    assert_eq!(config.store_password, Some(SecretRef::Command(CommandLine::Program(vec!["pass".into(), "db".into()]))));
}
