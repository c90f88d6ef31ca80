"""Strings of English and their right reading, by kind; data of `test_reading.py`.

Each line of a kind is "text => words".
"""

from __future__ import annotations

__all__ = ["READINGS"]

READINGS: dict[str, str] = {
    "signs without a sound": r"""
Well done 🎉 everyone! => Well done everyone!
I ❤️ it. => I it.
✅ Done => Done
★★★ Great! => Great!
It works ✓ => It works
♪ La la la ♪ => La la la
He left.† She stayed.‡ => He left. She stayed.
A 👨‍👩‍👧 family => A family
The flag 🇫🇷 flew. => The flag flew.
left ← right => left right
Paris → London => Paris to London
broken � text => broken text
bell<BEL> rings => bell rings
null<NUL> byte => null byte
⚠️ Careful: hot! => Careful: hot!
※ See below => See below
""",
    "signs with a name": r"""
₹500 a day => five hundred rupees a day
π is 3.14 => pi is three point one four
the angle α => the angle alpha
5 ± 2 => five plus or minus two
2 ≤ x => two is at most x
¿Qué pasa? => Que pasa?
№ 7 => number seven
§ 12 => section twelve
50‰ => fifty per mille
Δt is small => delta t is small
10 kΩ => ten kilohms
3 ≠ 4 => three is not equal to four
√2 => square root of two
25 µm => twenty-five micrometers
x ∈ A => x in A
© 1999 => copyright nineteen ninety-nine
C♯ minor => C sharp minor
""",
    "brackets": r"""
He cast [Fireball] at the wolf. => He cast Fireball at the wolf.
[Note] The shop is closed today. => Note: The shop is closed today.
[Laughs] Hello. => [Laughs] Hello.
[clears throat] Well. => [clears throat] Well.
She [the queen] left. => She the queen left.
[sic] => sic
a [very long] day => a very long day
[1] First source. => one: First source.
See [2, 3]. => See two, three.
It is so.[4] She left. => It is so. She left.
[SIGHS] Fine. => [SIGHS] Fine.
Tom said [quietly] no. => Tom said quietly no.
press [Enter] now => press Enter now
an [empty] box => an empty box
[music] Welcome. => [music] Welcome.
See [2, 3] there. => See two, three there.
""",
    "footnotes and powers": r"""
hello.1 She left => hello. She left
He died.12 Then => He died. Then
"Stop!"3 He ran. => "Stop!" He ran.
word² here => word here
The end.4 => The end.
10²³ atoms => ten to the power of twenty-three atoms
x² and y³ => x squared and y cubed
10⁻³ => ten to the power of minus three
3² is 9 => three squared is nine
2^8 => two to the power of eight
cm³ => cm cubed
5 m² => five meters squared
CO₂ rises => C O two rises
H₂O is water => H two O is water
the price* is high => the price is high
E = mc² => E equals mc squared
10^6 => ten to the power of six
x^2 => x squared
""",
    "grouped numbers": r"""
1 000 000 people => one million people
10 000 steps => ten thousand steps
€1.234,56 => one thousand two hundred and thirty-four euros and fifty-six cents
1.234,56 € => one thousand two hundred and thirty-four euros and fifty-six cents
2.500.000 => two million five hundred thousand
1'000'000 => one million
€12,50 => twelve euros and fifty cents
3,99 € => three euros and ninety-nine cents
1,234,567 => one million two hundred and thirty-four thousand five hundred and sixty-seven
①②③ => one two three
1,2,3 => one, two, three
12 500,75 € => twelve thousand five hundred euros and seventy-five cents
999 000 => nine hundred and ninety-nine thousand
4.294.967.296 => four billion two hundred and ninety-four million nine hundred and sixty-seven thousand two hundred and ninety-six
1.234.567,89 € => one million two hundred and thirty-four thousand five hundred and sixty-seven euros and eighty-nine cents
£10 000 => ten thousand pounds
""",
    "times of day": r"""
at 10:00 p.m. today => at ten p m today
10:00 p.m. => ten p m.
7 a.m. sharp => seven a m sharp
5 p.m. The dog ran. => five p m. The dog ran.
3:45pm => three forty-five p m
12:30 => twelve thirty
00:15 => zero fifteen
9:05 a.m. => nine oh five a m.
9am-5pm => nine a m to five p m
8:00 PM => eight p m
6:30-7:45 => six thirty to seven forty-five
14:00 => fourteen hundred hours
at noon or 12:00 => at noon or twelve o'clock
at 5 p.m. Monday => at five p m Monday
3:00 o'clock => three o'clock
From 9:00 a.m. to 5:00 p.m. daily => From nine a m to five p m daily
""",
    "dates": r"""
in May 3 people left => in May three people left
on May 3 => on May third
May 3, 2020 => May third, twenty twenty
12/25 => December twenty-fifth
on 7/4 => on July fourth
due 3/15 => due March fifteenth
15.01.2024 => January fifteenth, twenty twenty-four
1.2.2023 => February first, twenty twenty-three
2024-02-29 => February twenty-ninth, twenty twenty-four
11/20/2026 => November twentieth, twenty twenty-six
the 4th of July => the fourth of July
In March 5 ships sank. => In March five ships sank.
5 June 1944 => the fifth of June, nineteen forty-four
Sept. 11, 2001 => September eleventh, two thousand and one
by 10/31 => by October thirty-first
December 1999 => December nineteen ninety-nine
5/5/2020 => May fifth, twenty twenty
Nov. 5th => November fifth
05.05.20 => May fifth, twenty
""",
    "money": r"""
$5-10 => five to ten dollars
$5-$10 => five dollars to ten dollars
£3-5 => three to five pounds
$1,299.99 => one thousand two hundred and ninety-nine dollars and ninety-nine cents
US$100 => one hundred U S dollars
A$20 => twenty Australian dollars
EUR 50 => fifty euros
100 USD => one hundred U S dollars
$3.5bn => three point five billion dollars
€20 => twenty euros
$0.99 => ninety-nine cents
¥500 => five hundred yen
$2k => two thousand dollars
£1.01 => one pound and one penny
-$5 => minus five dollars
$5-10 million => five to ten million dollars
50¢ => fifty cents
€1.5m => one point five million euros
$1 million => one million dollars
USD 5.50 => five U S dollars and fifty cents
""",
    "fractions": r"""
1 ½ cups => one and one half cups
1-1/2 cups => one and one half cups
½ cup => one half cup
2½ miles => two and one half miles
3/4 => three quarters
a 50/50 chance => a fifty fifty chance
1/2 tsp => one half teaspoon
7/8 inch => seven eighths inch
2 1/4 => two and one quarter
5 1/2 hours => five and one half hours
¾ of it => three quarters of it
1/100 => one one hundredth
⅓ of the cake => one third of the cake
9.5/10 => nine point five out of ten
1/2 of 3/4 => one half of three quarters
""",
    "ranges, scores and sizes": r"""
2x4 => two by four
10 x 12 feet => ten by twelve feet
1920x1080 => nineteen twenty by one thousand and eighty
3-2 => three to two
10-20% => ten to twenty percent
pages 3-4 => pages three to four
5-6 people => five to six people
1990-1995 => nineteen ninety to nineteen ninety-five
16:9 => sixteen to nine
4x4 => four by four
8.5 x 11 => eight point five by eleven
-5 to 10 => minus five to ten
20-30 kg => twenty to thirty kilograms
""",
    "thousands and millions": r"""
10K followers => ten thousand followers
2.5M people => two point five million people
3B users => three billion users
1.2k likes => one point two thousand likes
a 5K run => a five K run
a 10K race => a ten K race
a 4K video => a four K video
Gate 5B => Gate five B
Room 12K => Room twelve K
500k views => five hundred thousand views
7bn people => seven billion people
100K+ => one hundred thousand plus
$10K => ten thousand dollars
""",
    "telephone and emergency numbers": r"""
1-800-FLOWERS => one eight hundred, FLOWERS
800-GO-FEDEX => eight hundred, GO FEDEX
555-1234 => five five five, one two three four
(555) 123-4567 => five five five, one two three, four five six seven
+1 555 123 4567 => plus one, five five five, one two three, four five six seven
Call 911. => Call nine one one.
Dial 911 now => Dial nine one one now
911 operators => nine one one operators
911 pages => nine hundred and eleven pages
1-800-555-0199 => one, eight zero zero, five five five, zero one nine nine
555-123-4567 => five five five, one two three, four five six seven
call 999 => call nine nine nine
123-45-6789 => one two three, four five, six seven eight nine
0800 123 456 => zero eight zero zero, one two three, four five six
+44 20 7946 0958 => plus four four, two zero, seven nine four six, zero nine five eight
""",
    "books and chapters": r"""
Genesis 1:1-3 => Genesis one, verses one to three
John 3:16 => John three sixteen
Psalm 23:1 => Psalm twenty-three, verse one
Chapter 01 => Chapter one
Episode 007 => Episode seven
Chapter 12 => Chapter twelve
Part 02 => Part two
Matthew 5:3-12 => Matthew five, verses three to twelve
Track 03 => Track three
Mark 1:9 => Mark one, verse nine
Section 04 => Section four
Page 07 => Page seven
Lesson 10 => Lesson ten
Section 2.1.3 => Section two point one point three
Fig. 3a => Figure three a
""",
    "Roman numerals": r"""
Chapter XIV => Chapter fourteen
Louis XVI => Louis the sixteenth
World War II => World War two
Act II => Act two
Part III => Part three
Henry VIII => Henry the eighth
Elizabeth II => Elizabeth the second
Rocky II => Rocky two
Pope John Paul II => Pope John Paul the second
Super Bowl LVIII => Super Bowl fifty-eight
Act I, Scene II => Act one, Scene two
the XIX century => the nineteenth century
page xiv => page fourteen
I did mix it. => I did mix it.
WWII => World War two
Vitamin C => Vitamin C
Malcolm X => Malcolm X
World War I ended. => World War one ended.
Volume IV => Volume four
IV fluids => IV fluids
The part I like best => The part I like best
George V => George the fifth
Type II diabetes => Type two diabetes
MIX => MIX
Charles I of England => Charles the first of England
Did I mix it? I did. => Did I mix it? I did.
""",
    "initials and abbreviations": r"""
J.K. Rowling => J K Rowling
U.S. Army => U S Army
P.O. Box 12 => P O Box twelve
Acme Co. Ltd. => Acme Company Limited.
Acme Inc. grew. => Acme Incorporated grew.
T.S. Eliot wrote. => T S Eliot wrote.
John F. Kennedy => John F Kennedy
the U.K. market => the U K market
She has a Ph.D. now. => She has a P H D now.
D.C. Comics => D C Comics
Samuel L. Jackson => Samuel L Jackson
in the U.S. The end. => in the U S. The end.
Washington, D.C. => Washington, D C.
E.T. phone home => E T phone home
300 B.C. was => three hundred B C was
J. R. R. Tolkien wrote it. => J R R Tolkien wrote it.
George R.R. Martin => George R R Martin
Vitamin C. It helps. => Vitamin C. It helps.
""",
    "titles and names": r"""
Mr. Smith => Mister Smith
Mme. Curie => Madame Curie
Lieut. Dan => Lieutenant Dan
Wm. Smith => William Smith
Prof Smith => Professor Smith
St Mary's => Saint Mary's
St. Peter => Saint Peter
12 Main St. => twelve Main Street.
Dr. Brown => Doctor Brown
Sunset Dr. is long => Sunset Drive is long
Capt. Kirk => Captain Kirk
Mt. Everest => Mount Everest
Sgt Pepper => Sergeant Pepper
Rev. Green => Reverend Green
Mrs Jones => Missus Jones
""",
    "words cut short": r"""
Apt. 5 => Apartment five
n/a => not applicable
c/o Mr. Hill => care of Mister Hill
w/o sugar => without sugar
w/ milk => with milk
w/e => whatever
e.g. this => for example this
cats, etc. => cats, et cetera.
approx. 3 miles => approximately three miles
No. 5 => number five
pp. 3-4 => pages three to four
vol. 2 => volume two
fig. 3 => figure three
vs. them => versus them
In Nov. I went => In November I went
open 24/7 => open twenty-four seven
he/she => he or she
his/her => his or her
aka Bob => also known as Bob
b/c I said so => because I said so
Dept. of Health => Department of Health
""",
    "units": r"""
2 tsp salt => two teaspoons salt
1 tbsp oil => one tablespoon oil
5 g => five grams
10 ml => ten milliliters
5 in. wide => five inches wide
10 mins => ten minutes
500 sq ft => five hundred square feet
30 mpg => thirty miles per gallon
5 kWh => five kilowatt hours
2 GB/s => two gigabytes per second
120 bpm => one hundred and twenty beats per minute
a 12" ruler => a twelve inch ruler
2 lbs. chicken => two pounds chicken
6 ft. tall => six feet tall
25 µg => twenty-five micrograms
72°F/22°C => seventy-two degrees Fahrenheit or twenty-two degrees Celsius
5'10" => five feet ten
60 km/h => sixty kilometers per hour
3 kg => three kilograms
1 oz => one ounce
5 mg/kg => five milligrams per kilogram
100 m => one hundred meters
2 L => two liters
12V => twelve volts
5 hrs => five hours
500 MB => five hundred megabytes
3 yrs => three years
5 in the room => five in the room
1 lb => one pound
a 5 kg bag => a five kilogram bag
12,5 kg => twelve point five kilograms
6 ft 2 in => six feet two inches
-40° => minus forty degrees
20 °C => twenty degrees Celsius
50 kg/110 lbs => fifty kilograms or one hundred and ten pounds
""",
    "letters": r"""
the FBI => the F B I
the USA => the U S A
NASA => NASA
BBC News => B B C News
a TV show => a T V show
two DVDs => two D V D's
STOP NOW => STOP NOW
HTML pages => H T M L pages
the IT department => the I T department
the CEO => the C E O
UFOs => U F O's
C# code => C sharp code
a PhD => a P H D
CO2 => C O two
MP3 => M P three
the UK => the U K
PDF files => P D F files
USB-C => U S B-C
RSVP => R S V P
OK => OK
H1N1 => H one N one
GPS and USB ports => G P S and U S B ports
The CIA, the NSA and MI5 => The C I A, the N S A and MI five
US troops => U S troops
an ATM => an A T M
""",
    "entities and signs": r"""
don&#39;t => don't
AT&amp;T => AT and T
5 &lt; 6 => five less than six
&quot;Hi&quot; => "Hi"
Tom &amp; Jerry => Tom and Jerry
caf&eacute; => cafe
a&nbsp;b => a b
&euro;5 => five euros
R&D => R and D
a+b => a plus b
50% => fifty percent
#1 => number one
user@example.com => user at example dot com
snake_case => snake underscore case
""",
    "addresses": r"""
https://example.com/a => example dot com slash a
http://www.test.org => test dot org
www.example.com => w w w dot example dot com
example.com/news => example dot com slash news
me@example.com => me at example dot com
notes.txt => notes dot txt
https://a.b/c?d=e => a dot b slash c question mark d equals e
Visit https://x.org. => Visit x dot org.
(https://x.org) => (x dot org)
a.b@c.co.uk => a.b at c dot co dot uk
.gitignore => dot gitignore
index.html => index dot html
ftp://files.net/x => files dot net slash x
user.name@mail.org => user dot name at mail dot org
www.gov.uk/tax => w w w dot gov dot uk slash tax
""",
    "right already": r"""
1st => first
22nd => twenty-second
the 1990s => the nineteen nineties
the '80s => the eighties
3.14 => three point one four
0.5 => zero point five
-12°C => minus twelve degrees Celsius
Version 1.2.3 => Version one point two point three
it's => it's
wait... => wait...
it was '69 => it was sixty-nine
in 2005 => in two thousand and five
1999 => nineteen ninety-nine
007 => zero zero seven
100 => one hundred
42 => forty-two
1,000th => one thousandth
the 21st century => the twenty-first century
2026 => twenty twenty-six
""",
    "markdown marks in plain text": r"""
He *really* meant it. => He really meant it.
It was **very** cold. => It was very cold.
_Never_ again => Never again
***Stop*** it => Stop it
[the manual](https://example.com/x) => the manual
2*3*4 => two times three times four
a * b => a asterisk b
snake_case and other_name => snake underscore case and other underscore name
5 * 6 => five times six
--- the end => the end
before *** after => before after
C:\temp => C: backslash temp
50% * 2 => fifty percent asterisk two
dial *67 => dial asterisk sixty-seven
5 > 3 => five greater than three
""",
}
