"""English word lists for the synthetic corpus: everyday words and how they inflect.

The lists are written for this project. They are plain strings, split on demand by
:func:`load_lexicon`; this module knows nothing of sentences, voices or files.
"""

from __future__ import annotations

# One line per entry "key: words"; an underscore inside a word stands for a space.
_LISTS = """
name: Anna Ben Clara David Emma Frank Grace Henry Irene Jack Kate Leo Mary Noah Olivia Peter Rose Sam
 Tina Victor Wendy Alice Adam Bella Brian Carol Charles Daisy Daniel Ella Edward Fiona George Hannah
 Isaac Julia James Karen Kevin Laura Luke Maria Martin Nancy Nathan Oscar Paul Paula Rachel Robert
 Ruth Sarah Simon Sophie Susan Thomas Tom Tony Vera Walter William Zoe Alex Amy Andrew Barbara Bill
 Bob Chris Diana Donald Elizabeth Eric Eva Felix Gary Helen Hugo Ian Jane Jason Jenny Jessica Jim Joe
 John Jonathan Joseph Joy Judy Ken Larry Linda Lisa Lucy Margaret Mark Matthew Max Megan Michael Mike
 Monica Nick Nicole Nina Owen Patrick Philip Ray Rebecca Richard Roger Ryan Sally Sandra Scott Steve
 Stella Teresa Tim Tracy Vincent Violet
surname: Adams Baker Bell Black Brown Carter Clark Cook Cooper Davis Evans Fisher Ford Foster Fox
 Gibson Gray Green Hall Harris Hill Hughes Hunt Jackson Johnson Jones Kelly King Knight Lee Lewis
 Long Marshall Mason Miller Mills Moore Morgan Murphy Nelson Parker Porter Price Reed Roberts Scott
 Shaw Smith Stone Taylor Turner Walker Ward Watson West White Williams Wilson Wood Wright Young
city: Amsterdam Athens Austin Baltimore Barcelona Beijing Berlin Bombay Boston Brussels Cairo Chicago
 Cleveland Copenhagen Dallas Delhi Denver Detroit Dublin Edinburgh Florence Geneva Glasgow Hamburg
 Helsinki Houston Istanbul Lisbon Liverpool London Los_Angeles Madrid Manchester Memphis Miami Milan
 Montreal Moscow Munich New_York Oslo Oxford Paris Philadelphia Phoenix Prague Rome San_Francisco
 Seattle Singapore Stockholm Sydney Tokyo Toronto Vancouver Venice Vienna Warsaw Washington Zurich
country: America Argentina Australia Austria Belgium Brazil Canada Chile China Cuba Denmark Egypt
 England Finland France Germany Greece Hungary Iceland India Ireland Israel Italy Japan Kenya Mexico
 Morocco Norway Peru Poland Portugal Russia Scotland Spain Sweden Switzerland Thailand Turkey Wales
family: mother father sister brother aunt uncle cousin daughter son wife husband grandmother
 grandfather nephew niece friend neighbor boss partner teacher doctor roommate
person: actor artist baker banker barber boy builder butcher captain carpenter chef child clerk coach
 cook customer dancer dentist designer detective doctor driver editor engineer expert farmer fisherman
 gardener girl guard guest guide hunter janitor journalist judge king lady lawyer leader librarian
 manager man mayor mechanic musician nurse officer owner painter passenger pilot player plumber poet
 policeman president priest prince princess prisoner professor programmer queen reporter sailor
 scientist secretary sheriff singer soldier stranger student surgeon tailor teacher thief tourist
 visitor waiter waitress winner witness woman worker writer volunteer neighbor referee
animal: ant bat bear bee beetle bird buffalo bull butterfly camel cat chicken cow crab crocodile crow
 deer dog dolphin donkey duck eagle elephant fish fly fox frog giraffe goat goose hamster hawk hen
 horse kangaroo kitten lamb leopard lion lizard lobster monkey mosquito moth mouse mule octopus owl
 parrot penguin pig pigeon pony puppy rabbit rat rooster seal shark sheep snail snake spider squirrel
 swan tiger turkey turtle whale wolf worm zebra
fruit: apple apricot banana berry cherry coconut fig grape grapefruit lemon lime mango melon orange
 papaya peach pear pineapple plum raspberry strawberry tomato potato carrot onion cucumber pepper
 pumpkin mushroom olive bean radish turnip cabbage lettuce_leaf
dish: biscuit burger cake cookie doughnut egg muffin omelet pancake pie pizza pudding salad sandwich
 sausage snack soup steak stew taco waffle meal breakfast lunch dinner supper dessert roll bagel
 pretzel casserole meatball noodle dumpling
mass_food: bacon beef bread broccoli butter celery cereal cheese chocolate cinnamon cream fish flour
 fruit garlic ginger ham honey ice_cream jam lamb meat mustard oil parsley pasta peanut_butter popcorn
 pork rice salt seafood spinach sugar toast turkey vinegar yogurt soup salad corn candy gravy syrup
drink: beer cider cocoa coffee juice lemonade milk orange_juice soda tea water wine hot_chocolate
 apple_juice green_tea
thing: album alarm_clock armchair backpack bag ball balloon banner barrel basket bell bench bicycle
 blanket board boat book bottle bowl box bracelet branch brick broom brush bucket button cabinet cage
 calendar camera candle card carpet cart chain chair chalk chest clock closet coin comb cup curtain
 cushion desk dictionary dish doll door drawer drum engine envelope fan faucet feather fence flag
 flashlight flower flute fork frame fridge game gate gift glass glove guitar hammer handle hook hose
 iron jar journal jug kettle key kite knife ladder lamp lantern letter lid lock magazine magnet map
 mask match mattress medal microphone microwave mirror mop mug nail napkin necklace needle newspaper
 notebook novel oven package page paintbrush painting pan parcel passport pen pencil photo piano
 picture pillow pin pipe plate pocket poster pot present purse puzzle rack radio rake razor ribbon
 ring rope rug ruler sack saw scale scarf scissors_case screen screw shelf shovel sign sink skateboard
 soap_dish sofa spade spoon spring stamp statue stick stool stove suitcase sword table tape teapot
 telescope tent thermometer ticket tire tool toothbrush towel toy tray trumpet tube umbrella vase
 vacuum violin wallet watch wheel whistle window wire wrench
clothes: apron belt blouse boot bow_tie cap coat dress glove hat helmet hood jacket necktie pajama_top
 raincoat robe sandal scarf shirt shoe skirt slipper sock suit sweater tie uniform vest
vehicle: airplane ambulance bike boat bus car canoe ferry fire_truck helicopter motorcycle plane
 rocket sailboat scooter ship sled subway taxi tractor train tram truck van wagon
device: app battery browser button cable camera chip code computer cursor database disk document
 driver email file folder headset icon image keyboard laptop link menu message modem monitor mouse
 network notification page password phone pixel plug printer processor program robot router scanner
 screen script server signal speaker spreadsheet switch system tablet telephone update website window
 virus webcam server_room version backup download account
placenoun: airport alley apartment attic bakery balcony bank barn basement bathroom beach bedroom
 bookstore bridge building cabin cafe campus castle cave cellar cemetery church classroom clinic
 college corner cottage court courtyard desert factory farm field forest garage garden gym hall
 hallway harbor hospital hotel house island jungle kitchen laboratory lake laundry library lobby
 lighthouse market meadow mill mine mountain museum office orchard palace park parking_lot path
 pharmacy playground pool port post_office prison restaurant river road room school shed shop
 square stable stadium station store street studio supermarket temple theater tower town tunnel
 university valley village warehouse waterfall yard zoo
body: ankle arm back beard bone brain cheek chest chin ear elbow eye eyebrow face finger foot
 forehead hair hand head heart heel hip jaw knee leg lip mouth muscle neck nose rib shoulder skin
 stomach thumb toe tongue tooth waist wrist
nature: beach bush canyon cliff cloud coast creek dawn desert dune earthquake eclipse flood fog
 forest glacier hill hurricane iceberg island lake leaf lightning meadow moon mountain ocean planet
 pond rainbow ridge river rock sea shadow shore sky snowflake star storm stream sun sunrise sunset
 thunder tide tornado tree valley volcano wave wind branch seed root grass flower
abstract: accident action adventure advantage agreement answer argument attempt balance battle
 beginning benefit bill birthday budget business career case cause ceremony challenge chance chapter
 choice circle class comment competition complaint concert condition contract conversation copy cost
 course crime crisis custom danger deal debate debt decision degree delay detail difference direction
 discount discovery discussion disease doubt dream duty effect effort election emergency error event
 example excuse exercise experience experiment explanation fact failure favor feeling festival figure
 form future goal group guess habit holiday hope idea illness interview invitation issue job joke
 journey language lesson level lie life list loan loss meeting memory method mistake moment mood name
 need note number offer opinion option order pattern payment pause plan poem point position price
 problem process profit project promise proof question race reason receipt recipe record reply report
 request result reward risk role rule salary scene schedule season secret sentence service shape size
 skill smell smile solution song sound speech speed step story strike style subject success suggestion
 summer surprise talent task tax test theory thought topic tradition trick trip trouble truth value
 vacation victory view visit voice vote warning wedding wish word year
subject: art biology chemistry English French geography German history law literature mathematics
 medicine music philosophy physics politics psychology science Spanish sport_science drawing writing
activity: baking camping chess cooking cycling dancing diving drawing farming fishing football
 gardening golf hiking hockey hunting jogging knitting painting reading running sailing shopping
 singing skating skiing soccer surfing swimming tennis traveling typing walking weaving basketball
 baseball volleyball photography
color: black blue brown crimson golden gray green orange pink purple red scarlet silver violet white
 yellow dark_blue light_green pale_yellow bright_red
adj: ancient awful bad beautiful big bitter blank blunt bold bright brilliant broken busy cheap clean
 clear clever cold comfortable common complete complex cool crooked curious dangerous dark decent deep
 delicate different difficult dirty double dry dull dusty early easy elegant empty enormous entire
 excellent expensive extra fair familiar famous fancy fantastic fast faint final fine firm flat foreign
 fragile fresh full funny gentle giant good grand great handy hard harmless heavy helpful hidden high
 hollow honest horrible hot huge humble ideal important impossible interesting large late light little
 local lonely long loose lovely low lucky magic main messy mighty modern muddy mysterious narrow nasty
 natural neat new nice noisy normal odd old open ordinary original painful pale perfect plain pleasant
 poor popular possible powerful precious pretty private proper public pure quick quiet rare raw ready
 real recent rich right round rough rusty safe secret separate serious shallow sharp shiny short silent
 silly similar simple single slim slow small smooth soft solid special square steady steep sticky stiff
 strange strong sudden sweet tall terrible thick thin tidy tight tiny tough typical ugly unusual useful
 usual valuable vast warm weak wet whole wide wild wonderful wooden wrong young
mood: afraid alone amazed angry annoyed anxious ashamed awake bored brave calm careful careless
 certain cheerful clever confident confused curious delighted disappointed eager embarrassed excited
 exhausted friendly frightened generous glad grateful guilty happy healthy helpful honest hungry
 impatient jealous kind late lazy lonely lost loud lucky mad nervous patient pleased polite proud
 quiet ready relaxed rude sad safe scared selfish serious shocked shy sick silent sleepy smart sorry
 strict stubborn stupid sure surprised thirsty tired upset warm weak wise worried wrong young
weather: bright breezy chilly clear cloudy cold cool damp dark dry foggy freezing frosty gray hot
 humid icy mild rainy snowy stormy sunny warm wet windy
manner: alone angrily badly boldly bravely calmly carefully carelessly cheerfully clearly closely
 correctly daily directly easily eagerly exactly fairly gently gladly gracefully happily hard
 honestly hungrily kindly lazily loudly nervously nicely patiently perfectly politely proudly
 quickly quietly rapidly really roughly rudely sadly safely secretly silently simply slowly softly
 steadily suddenly sweetly tightly together twice well wildly wisely
frequency: always often usually sometimes never rarely hardly_ever seldom almost_always normally
 generally frequently
vt: accept admire arrange balance borrow break bring build burn buy carry catch change check choose
 clean close collect color count cover create cut damage decorate deliver describe design destroy
 discover display drag draw drop empty examine exchange fill find finish fix fold forget fetch grab
 guard hang hate hide hold hit ignore improve inspect invent keep kick knock_over lend lift like
 load lock lose love make mark measure mention mix move need notice offer open order own pack paint
 pass pick_up plan press print produce protect pull push put_away receive recognize record remove
 rent repair replace return save scratch search sell send shake share show sketch spill spin split
 steal store stretch take tear test throw_away tie touch trade turn try use wash wear weigh wipe
 wrap win
vt_person: admire advise amuse annoy answer ask avoid believe blame bother call comfort contact
 convince encourage follow forgive frighten greet guide help hire hug ignore impress interrupt
 interview invite join kiss know like love marry meet miss notice pay phone photograph please
 recognize remember remind rescue respect scare see shock surprise teach thank touch trust visit
 wake_up warn watch
vt_food: bake boil bring buy chop cook cut eat enjoy finish fry grill heat love make mix order
 peel prefer prepare serve share slice smell steam stir taste try want
vt_device: charge check click connect copy delete download edit fix install open print repair
 reset restart save scan send share start stop switch_off switch_on test turn_off turn_on unplug update
 upload use
vi: agree appear argue arrive ask bark bathe begin blink bow breathe burn change cheer climb come
 complain continue cough crawl cry dance dive dream drive drown escape exercise fail faint fall
 fight float fly frown giggle go grin grow hesitate hurry jog jump kneel land laugh leave lie
 listen look march nod paint pause play practice pray read relax rest return ride rise run
 sail scream shiver shout sigh sing sit skate sleep slip smile sneeze snore speak stand stay
 struggle succeed suffer swim talk think travel tremble wait wake walk wander watch wave whisper
 whistle win wink work worry write yawn yell
vsay: admit announce answer ask believe claim cry declare explain insist mutter promise repeat
 reply say shout suggest think whisper
prep: above across_from around behind below beneath beside by in_front_of inside near next_to on
 outside over past under
past_when: yesterday last_night last_week last_month last_year this_morning an_hour_ago a_week_ago
 on_Monday on_Friday last_summer last_winter two_days_ago a_long_time_ago the_other_day
 just_now in_January in_October after_dinner before_noon during_the_war
future_when: tomorrow tonight next_week next_month next_year this_evening soon later on_Tuesday
 on_Thursday on_Sunday in_an_hour in_a_minute after_school before_lunch in_December
 the_day_after_tomorrow right_away one_day tomorrow_morning
habit_when: every_day every_morning every_Sunday at_night in_the_morning in_the_evening on_weekends
 once_a_week twice_a_year after_work before_bed all_day on_Saturdays in_spring in_winter
day: Monday Tuesday Wednesday Thursday Friday Saturday Sunday
month: January February March April May June July August September October November December
season: spring summer autumn winter
single: yes no hello thanks okay stop please goodbye sorry maybe sure right wait welcome help go
 ready really never always today tomorrow yesterday now here there why what who where when how
 great good fine perfect exactly nothing something everything everyone nobody again enough
 careful listen look come quickly slowly left right up down inside outside home work food water
 coffee music money time one two three four five six seven eight nine ten eleven twelve zero
 hundred thousand million first second third red green blue black white happy sad hungry tired
 cold hot morning evening night mother father friend hi hey bye wow oh well absolutely certainly
 definitely probably possibly congratulations cheers excellent wonderful done next back open close
 start finish quiet ouch hooray
pair: good_morning good_night good_evening good_afternoon thank_you thanks_again excuse_me well_done
 good_luck come_in sit_down stand_up hurry_up slow_down wake_up go_away come_here come_on look_out
 not_yet not_now of_course no_thanks yes_please all_right oh_no right_now right_here over_there
 see_you thank_goodness how_much how_many who_knows why_not what_time so_what never_mind no_problem
 no_way good_idea good_question happy_birthday be_careful be_quiet keep_going try_again turn_left
 turn_right go_ahead stop_it I_know I_see I_agree I'm_sorry I'm_here it's_me it's_late that's_right
 that's_all let's_go let's_see don't_worry don't_move help_me follow_me trust_me tell_me listen_carefully
 very_good very_well too_late too_much every_day last_night next_week for_sure really_good hello_there
 hello_everyone hello_world goodbye_everyone one_more once_again
tag: laughs laughter sighs music gasps clears_throat
function: the and but or because although while until since unless with without from into about
 after before during against between through toward upon among this that these those each every some
 any many few several both either neither such other another than then also only even just still
 already almost quite rather too very perhaps however instead anyway somewhere anywhere nowhere
 myself yourself himself herself ourselves themselves mine yours his hers ours theirs could would
 should might must shall can will may ought
"""

# base, past, participle; -s and -ing forms follow the rules.
_VERBS = """
be was been; bear bore borne; become became become; begin began begun; bend bent bent; bite bit bitten;
blow blew blown; break broke broken; bring brought brought; build built built; buy bought bought;
catch caught caught; choose chose chosen; come came come; cost cost cost; cut cut cut; deal dealt dealt;
do did done; draw drew drawn; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen;
feel felt felt; fight fought fought; find found found; fly flew flown; forget forgot forgotten;
forgive forgave forgiven; get got gotten; give gave given; go went gone; grow grew grown; hang hung hung;
have had had; hear heard heard; hide hid hidden; hit hit hit; hold held held; keep kept kept;
kneel knelt knelt; know knew known; lead led led; leave left left; lend lent lent; let let let;
lie lay lain; lose lost lost; make made made; mean meant meant; meet met met; pay paid paid;
put put put; read read read; ride rode ridden; ring rang rung; rise rose risen; run ran run;
say said said; see saw seen; sell sold sold; send sent sent; set set set; shake shook shaken;
show showed shown; shut shut shut; sing sang sung; sit sat sat; sleep slept slept; speak spoke spoken;
spend spent spent; spin spun spun; split split split; stand stood stood; steal stole stolen;
swim swam swum; take took taken; teach taught taught; tear tore torn; tell told told;
think thought thought; throw threw thrown; wake woke woken; wear wore worn; win won won;
write wrote written; reset reset reset
"""

_PLURALS = """
child children; man men; woman women; policeman policemen; fisherman fishermen; mouse mice; goose geese;
foot feet; tooth teeth; sheep sheep; fish fish; deer deer; knife knives; leaf leaves; wolf wolves;
shelf shelves; wife wives; life lives; thief thieves; scarf scarves; tomato tomatoes; potato potatoes;
mosquito mosquitoes; volcano volcanoes; tornado tornadoes; hero heroes; crisis crises; buffalo buffalo;
person people; mango mangoes
"""

IRREGULAR_VERBS = _VERBS
IRREGULAR_PLURALS = _PLURALS

DOUBLED_VERBS = frozenset(
    "admit beg chat chop clap drag drop fit grab grin hug hum jog nod pat plan plug rub scan shop"
    " sip skip slip stir stop swim trip wrap unplug run sit cut get hit put set shut win begin"
    " forget let spin split reset".split()
)


def load_lexicon() -> dict[str, tuple[str, ...]]:
    """Return the word lists by key, spaces restored in the multi-word entries."""
    lexicon: dict[str, tuple[str, ...]] = {}
    for line in _LISTS.strip().replace("\n ", " ").splitlines():
        key, _, words = line.partition(": ")
        lexicon[key] = tuple(dict.fromkeys(word.replace("_", " ") for word in words.split()))
    return lexicon
