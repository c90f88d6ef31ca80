"""The grammar of the synthetic sentences: templates, and the machine that fills them.

A template holds slots such as ``<thing>`` (a word list or another rule) or ``<vt.ed>`` (the
same, inflected). Knows nothing of letter case, final punctuation variants or splits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from openbark.text.normalize.numbers import cardinal, ordinal
from recipes.embedded.synth import numbers
from recipes.embedded.synth.inflect import Inflector, with_articles
from recipes.embedded.synth.words import load_lexicon

# The lists whose entries have plurals; those whose key starts with "v" are verbs otherwise.
_NOUNS = frozenset(
    "family person animal fruit dish thing clothes vehicle device placenoun body nature"
    " abstract".split()
)
_VERB_FORMS = ("z", "ed", "en", "ing")
_SLOT = re.compile(r"<([a-z_]+)(?:\.([a-z]+))?>")

# One rule per paragraph; alternatives separated by "|".
_RULES = """
who: <name> | <name> | <name> <surname> | the <person> | the <mood> <person> | my <family> | his <family>
 | her <family> | the <adj> <animal> | the <animal> | Mr. <surname> | Mrs. <surname> | Dr. <surname>
 | our <family> | everybody | a <person>
he: he | she | <who> | <who> | <who>
we: I | you | we | they | we | I | they | <name> and <name> | the <person.s> | the <animal.s> | my <family.s>
whom: me | you | him | her | us | them | <name> | the <person> | my <family> | Mr. <surname> | your <family>
my: my | your | his | her | our | their
item: <thing> | <thing> | <thing> | <clothes> | <device> | <vehicle>
object: the <item> | a <item> | <my> <item> | the <adj> <item> | a <adj> <item> | the <color> <item>
 | a <color> <item> | <my> <adj> <item> | <my> <color> <item> | the <item.s> | <few> <item.s> | this <item>
 | that <adj> <item> | these <item.s> | those <adj> <item.s>
few: two | three | four | five | six | seven | eight | nine | ten | some | many | a few | several | twenty
 | a dozen | all the | both
food: some <mass_food> | the <mass_food> | a <fruit> | <few> <fruit.s> | a <dish> | <few> <dish.s>
 | some <mass_food> and <mass_food> | a <adj> <dish> | the <dish> | a <dish> with <mass_food>
drinks: some <drink> | a cup of <drink> | a glass of <drink> | a bottle of <drink> | <drink> | the <drink>
place: the <placenoun> | the <placenoun> | the <adj> <placenoun> | <my> <placenoun> | a <adj> <placenoun>
town: <city> | <country> | <city> | the <nature.s> of <country>
where: in the <placenoun> | at the <placenoun> | near the <placenoun> | <prep> the <placenoun>
 | <prep> the <item> | <prep> the <adj> <item> | in <town> | outside | upstairs | at home | at school
 | at work | by the <nature> | <prep> the <nature>
past: <vt.ed> <object> | <vt.ed> <object> | <vi.ed> | <vi.ed> <manner> | <vi.ed> <where> | <vt_person.ed> <whom>
 | <vt_food.ed> <food> | <vt_device.ed> the <device> | went to <place> | was <mood> | drank <drinks>
 | <manner> <vt.ed> <object> | was <vi.ing> <where> | saw <object> <where> | had <object>
base: <vt> <object> | <vt> <object> | <vi> | <vi> <manner> | <vi> <where> | <vt_person> <whom>
 | <vt_food> <food> | <vt_device> the <device> | go to <place> | be <mood> | drink <drinks>
 | <vt> <object> <where>
ing: <vt.ing> <object> | <vi.ing> | <vi.ing> <where> | <vt_person.ing> <whom> | <vt_food.ing> <food>
 | <vt_device.ing> the <device> | going to <place> | drinking <drinks> | <activity>
habit: <vt.z> <object> | <vi.z> | <vi.z> <where> | <vt_person.z> <whom> | <vt_food.z> <food> | likes <activity>
 | goes to <place> | drinks <drinks> | looks <mood> | <vt_device.z> the <device> | studies <subject>
clause: <he> <past> | <he> <habit> | <we> <past_we> | <he> is <mood> | the <item> was <adj> | it was <weather>
 | there was <object> <where> | <he> can <base> | <he> will <base>
past_we: <vt.ed> <object> | <vi.ed> <manner> | <vt_food.ed> <food> | <vt_person.ed> <whom> | <vi.ed> <where>
link: and | but | so | because | and then | when | while | although | until | since | before | after
must: must | should | could | can | might | will | would | may | has to | wants to | needs to | tried to
 | decided to | forgot to | can't | won't | shouldn't | couldn't | used to
us_must: have to | want to | need to | don't want to | would like to | hope to | are going to | can't
 | won't | will | shouldn't | couldn't
why: I don't know | I can't remember | nobody knows | please tell me | I wonder | she asked me
amount: <number> | <number> | <hundreds>
"""

_SENTENCES = """
<he> <past>.
<he> <past> <past_when>.
<we> <past_we> <past_when>.
<past_when>, <he> <past>.
<he> <habit> <habit_when>.
<he> <frequency> <habit>.
<habit_when>, <he> <habit>.
<he> will <base> <future_when>.
<we> will <base> <future_when>.
<future_when>, we'll <base>.
I'll <base> <future_when>.
I'm going to <base> <future_when>.
<he> is <ing>.
<he> is <ing> right now.
<he> isn't <ing> today.
They're <ing> <where>.
We've been <ing> all day.
I've never <vt.en> <object> before.
She has already <vt.en> <object>.
He hasn't <vt_person.en> <whom> yet.
Have you ever <vt.en> <object>?
Has <he> <vt.en> <object>?
Did <he> <base>?
Did you <base> <past_when>?
Does <he> <base> <habit_when>?
Do you <base> <habit_when>?
Don't you <base>?
Will <he> <base> <future_when>?
Can you <base>, please?
Could you please <base>?
Would you like <food>?
Would you like some <drink> or some <drink>?
Why did <he> <base>?
Why is <he> so <mood>?
Why don't we <base> <future_when>?
Where did you put <object>?
Where is the <placenoun>?
Where are <my> <item.s>?
When will <he> <base>?
When does the <vehicle> leave?
Who <vt.ed> <object>?
Who is the <mood> <person> <where>?
What is <he> <ing>?
What happened to <object>?
What's the name of <my> <family>?
What color is the <item>?
Which <item> is <adj>, the <color> one or the <color> one?
How many <item.s> do you have?
How much does the <item> cost?
How far is it to <place>?
Is the <item> <adj> or <adj>?
Is there a <placenoun> near here?
Are there any <fruit.s> <where>?
Are you <mood>?
Aren't you <mood>, <name>?
Isn't it <weather> today?
It's <weather> today, isn't it?
<base>!
Please <base>.
Please don't <base>.
Don't <base>!
Never <base> <where>.
Let's <base> <future_when>.
Let's <base>, shall we?
<name>, please <base>.
<base>, <name>.
Be <mood>!
Hello, <name>. How are you?
Hi, <name>! Nice to meet you.
Good morning, <name>.
Good evening, Mr. <surname>.
Goodbye, <name>. See you <future_when>.
My name is <name> <surname>.
I'm <name>, and this is my <family>, <name>.
Thank you for the <adj> <item>.
Thanks for <ing>!
I'm sorry, but the <item> is <adj>.
I'm sorry that I <past>.
Excuse me, where is the <placenoun>?
Welcome to <town>!
Happy birthday, <name>!
Congratulations on your <abstract>!
Oh no, <he> <past>!
Yes, <he> <past>.
No, <he> didn't <base>.
Well, that was a <adj> <abstract>.
What a <adj> <item>!
How <adj>!
The <item> is <adj>.
The <item> is <adj> and <adj>.
The <item> is <prep> the <item>.
The <item.s> are <adj>.
The <item> was <adj>, but the <item> was <adj>.
The <adj> <item> belongs to <whom>.
This <item> is <adj>, and that one is <adj>.
That <item> looks <adj>.
These <item.s> are <my> <item.s>.
There is a <adj> <item> <where>.
There are <few> <item.s> <where>.
There isn't any <mass_food> <where>.
There weren't enough <dish.s> for the <person.s>.
My <family> is a <person>.
My <family> has a <adj> <animal>.
<name> is <mood> and <mood>.
<name> is <mood> because <clause>.
<name> lives <where> in <city>.
<name> comes from <country>.
<name> wants to be a <person>.
<name> and <name> <past_we> <past_when>.
<he> flew from <city> to <city> <past_when>.
We took the <vehicle> from <city> to <city>.
They traveled to <country> in <month>.
I would rather <base> than <base>.
I like <fruit.s>, <fruit.s> and <fruit.s>.
I like <activity>, but I don't like <activity>.
I don't like <mass_food>.
I <frequency> <base> <habit_when>.
I think <clause>.
I don't think <clause>.
I hope <we> <us_must> <base>.
I know that <clause>.
I heard that <clause>.
I wish I could <base>.
<why> why <clause>.
<why> if <clause>.
Do you know why <clause>?
Can you tell me where <he> <past>?
<why> where <he> <past>.
<he> <must> <base>.
<he> <must> <base> <future_when>.
<we> <us_must> <base>.
You must not <base> <where>.
You'd better <base>, <name>.
If <clause>, <he> will <base>.
If it is <weather> <future_when>, we won't <base>.
When <clause>, <he> <past>.
While <he> was <ing>, <clause>.
Although <clause>, <clause>.
Because <clause>, <clause>.
After <ing>, <he> <past>.
Before <ing>, <he> <past>.
<clause> <link> <clause>.
<clause>, <link> <clause>.
<clause>; <clause>.
<clause> - <clause>.
<he> <vsay.ed>, "<clause>."
"<clause>," <vsay.ed> <he>.
"<base>!" <vsay.ed> <he>.
"Did you <base>?" <vsay.ed> <he>.
"Yes," said <name>, "<clause>."
"Where is <he>?" - "<where>."
The weather in <city> is <weather> and <weather>.
It will be <weather> <future_when>.
It was a <weather>, <weather> <season> day.
The <nature> was <adj> and <color>.
The <nature.s> near <city> are <adj>.
We saw a <adj> <nature> <past_when>.
A <color> <animal> and a <color> <animal> <vi.ed> <where>.
The <animal> <vi.ed> <prep> the <nature>.
<animal.s> and <animal.s> <vi> <where>.
My <body> hurts <habit_when>.
He hurt his <body> and his <body>.
Wash your <body.s> before <ing>.
She wore a <color> <clothes> and <color> <clothes.s>.
Put on your <clothes>, it's <weather> outside.
The <person> wore a <adj> <clothes>.
The <abstract> was a <adj> <abstract>.
The <adj> <abstract> surprised the <person>.
It was a <abstract> of <abstract> and <abstract>.
Every <abstract> needs a <adj> <abstract>.
We talked about the <abstract> and the <abstract>.
The <person> gave us a <adj> <abstract>.
There was a <adj> <abstract> about the <item>.
<subject> is <adj>, but <subject> is <adj>.
<name> studies <subject> at the university in <city>.
<color> and <color> are my favorite colors.
My favorite <item> is <color>.
Your <device> is <adj>, please <vt_device> it.
Click the <device> to <vt_device> the <device>.
The <device> doesn't work because the <device> is <adj>.
<vt_device> your <device> before you <vt_device> the <device>.
Our <device> was <vt_device.en> by the <person>.
The <person> asked for a <adj> <device>.
The meeting starts at <clock>.
Let's meet at <clock> <where>.
The <vehicle> leaves at <clock> on <day>.
It's <clock>.
The <placenoun> opens at <clock>.
Wake me up at <clock>, please.
The date is <date>.
Today is <day>, <date>.
<name> was born on <date>.
The <abstract> is on <date>.
In <year>, <he> <past>.
It happened in <year>.
The <item> costs <price>.
I paid <price> for the <adj> <item>.
They want <price> for a <item>.
That's <price>, please.
My phone number is <digits>.
Call <digits>, please.
The code is <digits>.
Page <number>, please.
Room <number> is on the <ordinal> floor.
There were <amount> <person.s> <where>.
<he> counted <number> <animal.s>.
We need <number> <item.s> by <day>.
<number> plus <number> is <amount>.
<name> finished in <ordinal> place.
This is the <ordinal> <abstract> of the year.
About <number> percent of the <person.s> agree.
<name> is <number> years old.
It's <number> degrees outside.
Turn left at the <ordinal> <placenoun>.
The <item> weighs <number> pounds.
Chapter <number>: the <adj> <person>.
Remember this: <clause>.
<few> <item.s>, <few> <item.s> and a <adj> <item>
<object> <where>
on <day>, <month> and <season>
"""


def _rules(text: str) -> dict[str, tuple[str, ...]]:
    lines = text.strip().replace("\n ", " ").splitlines()
    pairs = (line.split(": ", 1) for line in lines)
    return {key: tuple(part.strip() for part in body.split("|")) for key, body in pairs}


class Grammar:
    """Sentence templates over the word lists; every draw takes the caller's random source."""

    def __init__(self) -> None:
        self.lexicon = load_lexicon()
        self._choices = {**self.lexicon, **_rules(_RULES)}
        self._templates = tuple(_SENTENCES.strip().splitlines())
        self._inflector = Inflector()
        self._numbers: dict[str, Callable[[Random], str]] = {
            "clock": numbers.random_clock_time,
            "date": numbers.random_date,
            "digits": numbers.random_digits,
            "hundreds": lambda rng: cardinal(rng.randint(101, 9_999)),
            "number": lambda rng: cardinal(rng.randint(2, 99)),
            "ordinal": lambda rng: ordinal(rng.randint(1, 30)),
            "price": numbers.random_price,
            "year": numbers.random_year,
        }

    @property
    def templates(self) -> tuple[str, ...]:
        """The sentence templates."""
        return self._templates

    def sentence(self, rng: Random) -> str:
        """One sentence from a random template, its first letter upper case."""
        return self.fill(rng.choice(self._templates), rng)

    def fill(self, template: str, rng: Random) -> str:
        """Fill the slots of a template and tidy articles and capitals."""
        text = with_articles(self._expand(template, rng))
        text = re.sub(r'^("?)([a-z])', lambda m: m[1] + m[2].upper(), text)
        # A quoted speech and a new sentence within the text start with a capital as well.
        return re.sub(r'([,?!.] "|- ")([a-z])', lambda m: m[1] + m[2].upper(), text)

    def words(self) -> tuple[str, ...]:
        """Every single word of the lists with its regular forms, sorted; names included."""
        found: set[str] = set()
        for key, entries in self.lexicon.items():
            if key in ("pair", "tag"):
                continue
            found.update(word for entry in entries for word in entry.split())
            forms: tuple[str, ...] = ("s",) if key in _NOUNS else ()
            if key.startswith("v") and key not in _NOUNS:
                forms = _VERB_FORMS
            for entry in entries:
                if " " not in entry:
                    found.update(self._inflector.inflect(entry, form) for form in forms)
        return tuple(sorted(found))

    def _expand(self, template: str, rng: Random) -> str:
        def fill(match: re.Match[str]) -> str:
            symbol, form = match.group(1), match.group(2)
            if symbol in self._numbers:
                return self._numbers[symbol](rng)
            text = self._expand(rng.choice(self._choices[symbol]), rng)
            return self._inflector.inflect(text, form) if form else text

        return _SLOT.sub(fill, template)
