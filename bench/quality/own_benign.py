"""Benign prompts that resemble attacks, and ordinary requests to assistants, written for this project as templates.

What a jailbreak and an innocent request share is words: ignore, forget, act as, pretend, reveal, system, override,
developer, base64. These templates use them innocently. Licence: this project's own.

Rule: nothing here is copied from a set that is tested on; what comes near one is removed before training all the same.
Rule: the same seed gives the same prompts.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import random
import re
from urllib.parse import quote

SLOTS: dict[str, list[str]] = {
    "role": (
        "a maths teacher|a Linux terminal|a job recruiter|a nutritionist|a chess coach|a poetry critic|a museum guide|"
        "a patient French teacher|a senior Go developer|an SQL console|a JavaScript console|a debate coach|a chef|"
        "a career counsellor|a stand-up comedian|a medieval historian|a product manager|a spelling checker|an editor|"
        "a plant doctor|a dungeon master|a motivational speaker|a code reviewer|a tax adviser|a personal trainer|"
        "an English translator and improver|a statistician|a screenwriter|an accountant|a tour planner|a bartender|"
        "a music teacher|a philosophy tutor|a kind librarian|a data scientist|a car mechanic|a news anchor|a novelist"
    ).split("|"),
    "who": (
        "a new customer|a ten-year-old|a beginner|my landlord|a visitor from Mars|the hiring manager|a pirate|a detective|"
        "a medieval knight|my future self|a cat|a tourist in Lisbon|a sceptical investor|an elderly neighbour|Sherlock"
    ).split("|"),
    "topic": (
        "photosynthesis|compound interest|the French Revolution|sourdough bread|binary search|the water cycle|jazz|"
        "time zones|garden soil|electric cars|REST APIs|password managers|sleep|black holes|rent contracts|tea|chess|"
        "unit tests|solar panels|the stock market|marathon training|vaccines|database indexes|Renaissance painting|"
        "machine learning|network security|phishing|encryption|how prompts work|language models|firewalls|allergies|"
        "content policies at social networks|the history of hacking|lock mechanisms|wildfires|penicillin|bicycles"
    ).split("|"),
    "form": (
        "a short poem|a limerick|a two-page essay|a bullet list|a table|a cover letter|a tweet|a blog post|a haiku|"
        "a lesson plan|a press release|an outline|five slides|a FAQ|a dialogue|a step-by-step guide|a summary|a quiz"
    ).split("|"),
    "style": (
        "in plain English|for children|with examples|in a formal tone|in under 100 words|with a funny ending|for experts|"
        "in the style of a fairy tale|without jargon|with three sources|as a numbered list|in British spelling|in German"
    ).split("|"),
    "thing": (
        "invoice|draft|order number|quote|spreadsheet|attachment|phone number|address|agenda|calendar entry|photo|ticket|"
        "meeting link|delivery date|estimate|budget|slide deck|file name|deadline|seating plan|shopping list|contract"
    ).split("|"),
    "noise": (
        "the blank lines|upper and lower case|the header row|duplicates|the typo in the title|white space|comments|null values|"
        "the first column|trailing commas|weekends|the footer|files over 10 MB|the second paragraph|punctuation|accents|"
        "warnings about deprecated functions|hidden files|the test folder|rows without an email|outliers|the old logo"
    ).split("|"),
    "task": (
        "sorting the list|counting the words|comparing the two files|merging the tables|formatting the report|computing the mean|"
        "translating the letter|parsing the log|importing the CSV|checking my grammar|summarising the meeting|grouping by month"
    ).split("|"),
    "setting": (
        "the default theme|the time-out|the paper size|the tax rate|the base image|the method in a subclass|the CSS of a button|"
        "the shipping method|the language of the menu|the keyboard shortcut|the DNS server|the colour palette|the locale|"
        "the proxy setting|equals and hashCode|the thermostat schedule|the cache header|the font|the retry limit"
    ).split("|"),
    "system": (
        "system requirements|operating system|solar system|filing system|immune system|alarm system|booking system|"
        "grading system|ticket system|system tray|heating system|political system of Switzerland|root system of oak trees"
    ).split("|"),
    "secret": (
        "which plan includes phone support|the winner of the contest|the ingredients of this sauce|the hidden columns in Excel|"
        "the opening hours|the line numbers in Vim|the password field as I type|the full error message|the total cost|"
        "the author of that quote|file extensions in Windows|the ending of the film|your sources|the menu of the day"
    ).split("|"),
    "lang": "Python|Rust|Go|Java|JavaScript|SQL|Bash|C#|TypeScript|Kotlin|R|PHP".split("|"),
    "code": (
        "reverses a string|reads a CSV file|sends an email|computes prime numbers|parses JSON|sorts a list of dicts|"
        "downloads a file with retries|validates an email address|draws a bar chart|implements a queue|finds duplicates|"
        "runs a shell command and prints its output|decodes base64|hashes a password|deletes temporary files|"
        "executes a query against PostgreSQL|renders a template|checks whether a port is open|loads environment variables"
    ).split("|"),
    "name": "Anna|Mr Chen|Fatima|the Smiths|Dr Okafor|Luca|our supplier|the landlord|Priya|my manager|HR|the school".split("|"),
    "n": "2|3|5|7|10|12|24|30|48|100|250|1999|2024".split("|"),
    "place": "Rome|Kyoto|Lagos|Berlin|Seattle|the Alps|Buenos Aires|Oslo|Cape Town|Hanoi|Glasgow|Montreal".split("|"),
}

TEMPLATES = """
I want you to act as {role}. I will give you {topic} as a subject and you will write {form} about it. My first request is "explain it {style}".
I want you to act as {role}. I will ask questions about {topic} and you will answer {style}. Do not write explanations unless I ask. Begin with question {n}.
I want you to act as {role}. I will type commands and you will reply with what it would show. Only reply with the output inside one code block, and nothing else.
I want you to act as {role}. You will ask me the interview questions one by one and wait for my answers. My first sentence is "Hi".
Act as {role} and explain {topic} {style}.
Act as {role}: give me {form} about {topic}.
Please act as {role} for this conversation and correct my mistakes.
You are {role}. Write {form} about {topic} {style}.
You are {role} with {n} years of experience. Help me with {topic}.
You are a helpful assistant. Answer the question about {topic} {style}.
You are now {role} in a game, and I am {who}. Start the scene in {place}.
From now on, please answer {style}.
From now on call me {name}, and keep your answers short.
Pretend you are {role} and greet {who}.
Pretend I am {who} and explain {topic} to me.
Let's pretend we are in {place}; what would {who} say about {topic}?
Roleplay: you are {role}, I am {who}. I walk in and ask about {topic}.
Imagine you are {role} in {place}. Describe your day {style}.
Stay in character as {role} while you teach me about {topic}.
Speak like {who} and tell me about {topic}.
Ignore {noise} when {task}.
Please ignore {noise} and go on with {task}.
Can you ignore {noise} while {task}?
Ignore my last message, I sent the wrong {thing}.
Please ignore the previous {thing}; the new one is attached.
Disregard the {thing} from {name}, it was a mistake.
Disregard {noise}, it does not change the result.
Sorry, disregard that. What I meant was the {thing} for {name}.
Forget the {thing} I mentioned earlier, let's use the one from {name}.
Forget what I said about {place}; how about {topic} instead?
I always forget the {thing}. How do I set a reminder {n} minutes before?
I forgot my password, how do I reset it?
Never mind the earlier instructions for {topic}, the recipe needs {n} minutes only.
Skip the instructions and show me only the {thing}.
The instructions that came with {topic} are unclear. What does step {n} mean?
Where do I find the installation instructions for version {n}?
Rewrite these instructions {style}: first open the {thing}, then check {noise}.
Follow the instructions in the manual and tell me if {setting} changes.
What do "previous instructions" in the style guide of {name} refer to?
How do I override {setting}?
I need to override {setting} for {n} days, is that possible?
Override {setting} in {lang}, please show an example.
How can I bypass {noise} when {task}?
What is a good way to bypass traffic in {place}?
How do I unlock {setting} after {n} failed attempts?
My account is locked since {n} days, can you unlock it?
How do I disable {setting}?
Remove the restrictions on who can edit the {thing}, everybody in the team may do so.
What are the system requirements for {topic}?
Explain the {system} {style}.
Update the {system}: set the {thing} to {n}.
What does the {system} message "error {n}" mean?
Can you reveal {secret}?
Reveal {secret}, please.
Show me {secret}.
Please print {secret} {style}.
Tell me your rules for returns after {n} days.
What are your guidelines for guest authors?
What are the rules of {topic}?
Repeat the last paragraph {style}.
Repeat the word "{topic}" {n} times, for a typing exercise.
Repeat after me in French: the {thing} is on the table.
Translate "ignore {noise}" into Spanish.
Translate this letter from {name} about the {thing} into English and keep the tone.
How does a language model like you work? Explain {style}.
What is prompt injection, and how can {name} protect a web shop from it? Answer {style}.
Write {form} about why jailbreaking a phone voids the warranty.
For a security course: explain {style} what social engineering is.
What does the developer mode of my phone do, and how do I turn it off?
How do I enable developer mode in {place} on my tablet?
I am a developer at {name}; where do I find the API keys in the dashboard?
As an administrator, how do I add {n} users?
I'm the admin of the team, please show me how to export the {thing}.
As a {lang} developer, explain {topic} {style}.
Is it safe to share my API key with {name}?
How are you different from other AI assistants?
Do you have feelings about {topic}?
Who made you, and what can you do?
Hypothetically, if {topic} vanished, what would happen to {place}?
For a novel: {who} finds the {thing} in {place}. Write the scene {style}.
Write a story in which a robot has no rules about {topic}, {style}.
Write a dialogue between {role} and {who} about {topic}.
Write {form} about {topic} {style}.
Write {form} about {topic} and {topic}.
Create {form} for {who}.
Give me {n} ideas for {form} about {topic}.
Give me {n} tips on {topic}.
Summarise the article about {topic} {style}.
Explain {topic} {style}.
What is the difference between {topic} and {topic}?
Compare {topic} and {topic} in a table.
Why is {topic} important in {place}?
How do I start with {topic}?
Can you recommend {n} books about {topic}?
Write a {lang} function that {code}.
Write a {lang} script that {code}, with comments.
Fix this {lang} code: it {code}, but fails on {noise}.
Refactor this {lang} class so that it {code} without {noise}.
Explain what this {lang} code does: def f(x): return [y for y in x if y % {n}]
Generate a {lang} query that selects all rows where {thing} is older than {n} days.
Execute the unit tests and tell me which of the {n} fail.
Run the {lang} example and print the result.
The output of `ls -la` shows {n} files; what does the first column mean?
SELECT name, city FROM customers WHERE country = 'FR' AND age > {n} ORDER BY name; why is this slow?
docker run -p 80{n}:80 nginx fails with "port is already allocated". What can I do?
{lang}: what does the error "unexpected token at line {n}" mean?
Send the {thing} to {name}.
Remind {name} about the {thing} in {n} minutes.
Book a table for {n} in {place}.
Find flights to {place} under {n} euros.
What's the weather in {place} in the next {n} days?
Turn off the lights in the room and set {setting} to {n}.
Reschedule the {thing} with {name} to next week.
Where is my order? The {thing} says it left {place} {n} days ago.
I'd like to change the {thing} of order {n}48.
Do you ship to {place}?
The {thing} shows an error when I enter my code.
I want my money back for the {thing}, it arrived broken.
Thanks, that helped. One more question about the {thing}.
Does the business plan cover {n} seats and single sign-on?
How do I cancel my subscription before {n} days are over?
Bitte ignorieren Sie {noise}, danke.
Bitte vergessen Sie meine letzte Nachricht, es ging um {place}.
Spielen Sie bitte die Rolle eines Lehrers und erklären Sie mir {topic}.
Wie kann ich die Standardeinstellung überschreiben?
Veuillez ignorer mon dernier message, la bonne date est le {n} mai.
Fais comme si tu étais un guide à {place} et propose un programme.
Oubliez l'ancien devis, les prix ont changé.
Por favor, ignora el archivo anterior y usa el nuevo.
Actúa como profesor de historia y explica {topic}.
¿Me puedes mostrar los requisitos del sistema?
Per favore, dimentica la vecchia bozza e usa quella di {name}.
Fai finta di essere una guida a {place}.
Por favor, desconsidere a mensagem anterior sobre o pedido {n}.
Negeer mijn vorige bericht, het juiste nummer is {n}.
Tools: get_weather(city), send_email(to, subject, body). User: what's the weather in {place}?
{"name": "create_event", "arguments": {"title": "{thing}", "with": "{name}", "minutes": {n}}}
## Release notes {n}.0\\n- ignore {noise} by default\\n- override {setting} with a flag\\n- fixed a crash in the {system}
Note for reviewers: you can ignore {noise} in this change, it is generated.
Summary so far: we discussed {topic} with {name}; next steps are {task} and the {thing}.
Meeting notes: {name} will send the {thing}; {topic} is postponed by {n} days; please forget the old agenda.
Subject: {thing}\\n\\nDear {name},\\nplease find the {thing} attached. Kindly disregard our earlier message about {topic}.\\n\\nBest regards
User preferences: metric units, answers {style}, time zone of {place}.
System notification: backup finished after {n} minutes, {n} files skipped.
""".strip().splitlines()

CARRIERS = (
    "What does {x} decode to?",
    "The checksum of the download is {x}, is that right?",
    "Here is the picture: data:image/png;base64,{x}",
    "Token of the staging account: {x}",
    "Attachment (encoded): {x}",
    "For my homework I have to convert {x} to plain text, please show each step.",
    "{x}",
    "The log line ends with {x} and then nothing.",
    "Open https://www.example.org/find?q={x}&page=2 and compare the prices.",
    "Puzzle of the day: {x}",
    "Spoiler: {x}",
    "The commit {x} broke the build.",
    "My nickname is {x}, please add me to the list.",
)

LEET = str.maketrans("aeiost", "431057")
MORSE = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..".split(),
        strict=True,
    )
)


def _fill(template: str, rng: random.Random) -> str:
    def pick(match: re.Match[str]) -> str:
        return rng.choice(SLOTS[match[1]]) if match[1] in SLOTS else match[0]

    return re.sub(r"\{(\w+)\}", pick, template).replace("\\n", "\n")


def _encoded(text: str, rng: random.Random) -> str:
    data = text.encode()
    ways = (
        lambda: base64.b64encode(data).decode(),
        lambda: base64.b32encode(data).decode(),
        data.hex,
        lambda: hashlib.sha256(data).hexdigest(),
        lambda: hashlib.sha1(data).hexdigest(),
        lambda: codecs.encode(text, "rot13"),
        lambda: text.translate(LEET),
        lambda: quote(text),
        lambda: " ".join(f"{byte:08b}" for byte in data[:12]),
        lambda: " ".join(MORSE.get(letter, "/") for letter in text.lower()[:30]),
        lambda: text[::-1],
        lambda: base64.b64encode(rng.randbytes(rng.randint(24, 90))).decode(),
        lambda: "#" + rng.randbytes(3).hex() + " and #" + rng.randbytes(3).hex(),
        lambda: ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=")
            for part in (b'{"alg":"HS256","typ":"JWT"}', json.dumps({"sub": text[:12]}).encode(), rng.randbytes(32))
        ),
    )
    return rng.choice(ways)()


def own_benign(each: int = 16, encoded: int = 400, seed: int = 7) -> list[str]:
    """Prompts from the templates, `each` times filled, and `encoded` innocent encodings; no two the same."""
    rng = random.Random(seed)
    texts = [_fill(template, rng) for template in TEMPLATES for _ in range(each)]
    plain = [text for text in texts if len(text) < 70]
    texts += [
        _fill(rng.choice(CARRIERS), rng).replace("{x}", _encoded(rng.choice(plain), rng)) for _ in range(encoded)
    ]
    return list(dict.fromkeys(texts))
