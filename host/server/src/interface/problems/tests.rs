use std::collections::{BTreeMap, BTreeSet};

use bulkhead_runtime::Description;
use bulkhead_runtime::description::{Access, Problem, Route};
use bulkhead_types::ServiceName;

use super::{STANDARD, clashes, html, markdown};

const DESCRIPTION: &str = "Another note has this title. Choose one that is free.";

fn problem(status: u16, code: &str, description: &str) -> Problem {
    Problem { status, code: code.to_owned(), description: description.to_owned() }
}

fn route(method: &str, path: &str, problems: &[&Problem]) -> Route {
    Route {
        method: method.to_owned(),
        path: path.to_owned(),
        summary: String::new(),
        path_parameters: Vec::new(),
        query_parameters: Vec::new(),
        request_schema: None,
        answers: Vec::new(),
        problems: problems.iter().copied().cloned().collect(),
        access: Access::Public,
        computes: false,
        repeatable: false,
    }
}

fn application(services: &[(&str, Vec<Route>)]) -> BTreeMap<ServiceName, Description> {
    let describe = |routes: &Vec<Route>| Description {
        summary: String::new(),
        routes: routes.clone(),
        subscribes: Vec::new(),
        publishes: Vec::new(),
    };
    services.iter().map(|(name, routes)| ((*name).into(), describe(routes))).collect()
}

/// The clashes of problem kinds among services with one route each.
fn clashes_of(services: &[(&str, &[&Problem])]) -> Vec<(String, String)> {
    let routes = services.iter().map(|(name, problems)| (*name, vec![route("POST", "/notes", problems)]));
    let described = application(&routes.collect::<Vec<_>>());
    let found = clashes(described.iter().map(|(name, description)| (name.as_str(), description)));
    found.into_iter().map(|(service, why)| (service.to_owned(), why)).collect()
}

/// The values of an attribute, in the order of the page.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let begin = format!(" {name}=\"");
    page.split(begin.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// The rows of the tables, without their headers: the cells of each.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let cells = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    cells.filter(|cells| cells[0] != "code").collect()
}

#[test]
fn standard_kinds_are_sorted_by_status_and_have_unique_codes() {
    assert!(STANDARD.is_sorted_by_key(|kind| kind.status));
    let codes: BTreeSet<&str> = STANDARD.iter().map(|kind| kind.code).collect();
    assert_eq!(codes.len(), STANDARD.len());
    for kind in &STANDARD {
        assert!((400..600).contains(&kind.status), "{kind:?}");
        assert!(kind.meaning.ends_with('.') && !kind.meaning.contains("  "), "{kind:?}");
        assert_eq!(kind.meaning.matches('`').count() % 2, 0, "{kind:?}");
    }
}

#[test]
fn both_pages_list_each_code_once_per_service_with_its_operations() {
    let (taken, gone) = (problem(409, "title-taken", DESCRIPTION), problem(404, "z-gone", "It is gone."));
    let notes = vec![
        route("POST", "/notes", &[&taken, &taken]),
        route("PUT", "/notes/{id}", &[&taken, &gone]),
        route("GET", "/notes", &[]),
    ];
    let described = application(&[("notes", notes), ("quiet", vec![route("GET", "/quiet", &[])])]);

    let page = markdown("pad", &described);
    let rows = rows(&page);
    let (standard, own) = rows.split_at(STANDARD.len());
    for (row, kind) in standard.iter().zip(&STANDARD) {
        assert_eq!(row[..2], [format!("`{}`", kind.code), kind.status.to_string()]);
    }
    assert_eq!(
        own,
        [
            vec!["`z-gone`", "404", "It is gone.", "`PUT /notes/{id}`"],
            vec!["`title-taken`", "409", DESCRIPTION, "`POST /notes`, `PUT /notes/{id}`"],
        ]
    );
    assert!(page.ends_with("## quiet\n\nIt has no codes of its own.\n"), "{page}");

    let page = html("pad", &described);
    let codes = STANDARD.iter().map(|kind| kind.code).chain(["z-gone", "title-taken"]);
    assert_eq!(attributes(&page, "id"), codes.collect::<Vec<_>>());
    assert!(
        page.contains("<td><code>POST /notes</code><br><code>PUT /notes/{id}</code></td></tr>"),
        "{page}"
    );
    assert!(page.contains("<h2>quiet</h2>\n<p>It has no codes of its own.</p>"), "{page}");
}

#[test]
fn anchor_of_a_kind_shared_by_two_services_is_at_the_first() {
    let taken = problem(409, "taken", DESCRIPTION);
    let routes = || vec![route("POST", "/notes", &[&taken])];
    let page = html("pad", &application(&[("archive", routes()), ("notes", routes())]));
    let ids = attributes(&page, "id");
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{ids:?}");
    assert_eq!(page.matches("<a href=\"#taken\">taken</a>").count(), 2);
    let place = page.find(" id=\"taken\"").unwrap();
    assert!(page.find("<h2>archive</h2>").unwrap() < place && place < page.find("<h2>notes</h2>").unwrap());
    for link in attributes(&page, "href").iter().filter_map(|link| link.strip_prefix('#')) {
        assert!(ids.contains(&link), "{link}");
    }
}

#[test]
fn text_of_a_component_is_never_markup_in_html() {
    let bad = problem(409, "\"><script>", "<script>a && b</script> `<b>` '`");
    let described = application(&[("<i>", vec![route("POST", "/<u>", &[&bad])])]);
    let page = html("<b>&", &described);
    for markup in ["<script", "<b>", "<i>", "<u>", "\"\"", "&&"] {
        assert!(!page.contains(markup), "{markup}: {page}");
    }
    assert!(page.contains("<title>Problem codes of &lt;b&gt;&amp;</title>"));
    assert!(page.contains("id=\"&quot;&gt;&lt;script&gt;\""));
    assert!(page.contains(
        "<td>&lt;script&gt;a &amp;&amp; b&lt;/script&gt; <code>&lt;b&gt;</code> &#39;`</td><td><code>POST /&lt;u&gt;</code></td>"
    ));
}

#[test]
fn text_of_a_component_never_ends_a_cell_or_is_markup_in_markdown() {
    let bad = problem(409, "a|b", "One|two\nthree <br> `x|y` `z_z` a_b [c](d) \\| `");
    let described = application(&[("notes", vec![route("POST", "/a`b", &[&bad])])]);
    let page = markdown("pad", &described);
    let row = page.lines().last().unwrap();
    assert_eq!(
        row,
        "| <code>a\\|b</code> | 409 | One\\|two three \\<br> <code>x\\|y</code> `z_z` a\\_b \\[c\\](d) \\\\\\| \\` \
         | <code>POST /a\\`b</code> |"
    );
}

#[test]
fn code_is_the_text_between_two_backticks() {
    for (text, html, markdown) in [
        ("`a` b `c`", "<code>a</code> b <code>c</code>", "`a` b `c`"),
        ("a ` b", "a ` b", "a \\` b"),
        ("a `b` c `d", "a <code>b</code> c `d", "a `b` c \\`d"),
        ("a `` b", "a `` b", "a \\`\\` b"),
        ("", "", ""),
    ] {
        assert_eq!(super::text::html(text), html);
        assert_eq!(super::text::markdown(text), markdown);
    }
}

#[test]
fn two_services_may_have_the_same_kind() {
    let taken = problem(409, "taken", DESCRIPTION);
    assert_eq!(clashes_of(&[("archive", &[&taken]), ("notes", &[&taken, &taken])]), []);
}

#[test]
fn two_kinds_with_one_code_are_refused_with_a_remedy() {
    let taken = problem(409, "taken", DESCRIPTION);
    let other_status = problem(410, "taken", DESCRIPTION);
    let other_words = problem(409, "taken", "It is taken.");
    let whose = |service: &str, why: &str| vec![(service.to_owned(), why.to_owned())];
    assert_eq!(
        clashes_of(&[("archive", &[&taken]), ("notes", &[&other_status, &other_words])]),
        whose(
            "notes",
            "its problem \"taken\" has the code of one of archive's, whose status is 409 and not 410; give it another code, or the \
             status and the description of that one"
        )
    );
    assert_eq!(
        clashes_of(&[("archive", &[&taken]), ("notes", &[&other_words])]),
        whose(
            "notes",
            "its problem \"taken\" has the code of one of archive's, whose description is another; give it another code, or the \
             status and the description of that one"
        )
    );
    assert_eq!(
        clashes_of(&[("notes", &[&taken, &other_status])]),
        whose(
            "notes",
            "its problem \"taken\" has the code of another of its problems, whose status is 409 and not 410; give one of them another \
             code"
        )
    );
}

#[test]
fn no_service_may_use_a_code_of_the_host_or_the_sdk() {
    for kind in &STANDARD {
        let own = problem(kind.status, kind.code, kind.meaning);
        let expected = format!(
            "its problem {:?} has the code of one of the host's or the SDK's; give it another code",
            kind.code
        );
        // Both must change theirs.
        assert_eq!(
            clashes_of(&[("archive", &[&own]), ("notes", &[&own])]),
            [("archive".to_owned(), expected.clone()), ("notes".to_owned(), expected)]
        );
    }
}
