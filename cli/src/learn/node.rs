//! JSON for people: members in their order, numbers with their digits, short things on one line.

use toolgate_engine::json::Value;

/// Columns that a line may have.
const WIDTH: usize = 110;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A token as it is written.
    Token(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn text(text: &str) -> Self {
        Node::Token(quoted(text))
    }

    pub(super) fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Node::List(texts.into_iter().map(Node::text).collect())
    }

    pub(super) fn of(value: Value<'_>) -> Self {
        if let Some(object) = value.as_object() {
            let members = object.members();
            return Node::Object(
                members
                    .map(|(name, value)| (name.into_owned(), Node::of(value)))
                    .collect(),
            );
        }
        match value.as_array() {
            Some(array) => Node::List(array.elements().map(Node::of).collect()),
            None => Node::Token(value.raw().to_owned()),
        }
    }

    /// Puts a member in its place, or at the end.
    pub(super) fn set(&mut self, name: &str, value: Node) {
        let Node::Object(members) = self else { return };
        match members.iter_mut().find(|(there, _)| there == name) {
            Some((_, there)) => *there = value,
            None => members.push((name.to_owned(), value)),
        }
    }

    pub(super) fn members_mut(&mut self, name: &str) -> impl Iterator<Item = (&str, &mut Node)> {
        let found = match self {
            Node::Object(members) => members.iter_mut().find(|(there, _)| there == name),
            Node::Token(_) | Node::List(_) => None,
        };
        let members = match found {
            Some((_, Node::Object(members))) => members.as_mut_slice(),
            _ => &mut [],
        };
        members.iter_mut().map(|(name, node)| (name.as_str(), node))
    }

    /// The document.
    pub(super) fn pretty(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0, 0);
        text.push('\n');
        text
    }

    /// `used`: columns that the line has already.
    fn write(&self, text: &mut String, indent: usize, used: usize) {
        let line = self.line();
        if indent > 0 && used + line.chars().count() <= WIDTH {
            text.push_str(&line);
            return;
        }
        match self {
            Node::Token(token) => text.push_str(token),
            Node::List(elements) => {
                let items = elements.iter().map(|element| (String::new(), element));
                block(text, indent, ('[', ']'), items);
            }
            Node::Object(members) => {
                let items = members
                    .iter()
                    .map(|(name, value)| (format!("{}: ", quoted(name)), value));
                block(text, indent, ('{', '}'), items);
            }
        }
    }

    fn line(&self) -> String {
        match self {
            Node::Token(token) => token.clone(),
            Node::List(elements) => {
                let elements: Vec<String> = elements.iter().map(Node::line).collect();
                format!("[{}]", elements.join(", "))
            }
            Node::Object(members) if members.is_empty() => "{}".to_owned(),
            Node::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{}: {}", quoted(name), value.line()))
                    .collect();
                format!("{{ {} }}", members.join(", "))
            }
        }
    }
}

fn block<'n>(
    text: &mut String,
    indent: usize,
    (open, close): (char, char),
    items: impl Iterator<Item = (String, &'n Node)>,
) {
    text.push(open);
    let mut separator = "\n";
    for (head, node) in items {
        text.push_str(separator);
        separator = ",\n";
        let margin = "  ".repeat(indent + 1);
        text.push_str(&margin);
        text.push_str(&head);
        node.write(text, indent + 1, margin.len() + head.chars().count());
    }
    text.push('\n');
    text.push_str(&"  ".repeat(indent));
    text.push(close);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
