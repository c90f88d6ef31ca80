"""Words that decide whether a full stop ends a sentence, for the 13 languages Bark speaks.

Data only: abbreviations, words that open sentences, names of Latin letters in Devanagari. Knows no rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class SentenceWords:
    """Words of one language, lower case, without the final full stop.

    never: abbreviations that no sentence ends with. maybe: abbreviations that end one when an opener follows.
    before_numbers: abbreviations that go on when a digit follows. openers: frequent words that open a sentence.
    has_ordinals: "3." is also "third".
    """

    never: frozenset[str]
    maybe: frozenset[str]
    before_numbers: frozenset[str]
    openers: frozenset[str]
    has_ordinals: bool = False


def _words(
    never: str, maybe: str, before_numbers: str, openers: str, has_ordinals: bool = False
) -> SentenceWords:
    return SentenceWords(
        frozenset(never.split()),
        frozenset(maybe.split()),
        frozenset(before_numbers.split()),
        frozenset(openers.split()),
        has_ordinals,
    )


_ENGLISH = _words(
    "mr mrs ms mme mlle messrs dr prof rev hon st sr. gen col capt cmdr lt lieut maj sgt gov sen rep pres mt ft vs "
    "e.g i.e cf viz al approx dept est fig. msgr supt wm chas geo thos jas fr adm brig cpl pvt insp ed eds trans incl "
    "excl univ assn bldg ste mssr mses",
    "etc inc ltd co corp bros jr sr ave blvd rd a.m p.m u.s u.k u.n d.c ph.d b.c a.d esq jan feb mar apr jun "
    "jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun",
    "no nos p pp vol fig figs ch sec art eq ca c op apt rm ext tel hwy rte bldg fl",
    "the a an and but or so if in on at to of for from by with as it he she we they i you this that these "
    "those there here then when where what who why how his her their its our my your not no yes is was are "
    "do did does have has had will would can could one some all after before while although because "
    "however once later now meanwhile please let maybe nobody everyone",
)
_GERMAN = _words(
    "hr hrn fr frl fa dr prof dipl ing med phil jur rer nat habil mag h.c z.b d.h u.a i.d.r bzw ca evtl ggf inkl exkl "
    "sog vgl st hrsg mind max. z.hd hd i.a i.v gez sen jun. lt geb. verh ehem hl kath ev röm "
    "abs str tel geb z d i vs bspw insb",
    "usw etc co gmbh u.s.w u.ä n.chr v.chr jan feb mär apr jun jul aug sept okt nov dez mio mrd min std",
    "nr nrn s bd kap abb art abs jh str tel hausnr pf postf zi whg",
    "der die das ein eine und aber oder denn so wenn in im an am auf zu zum von vom für mit als es er sie "
    "wir ihr ich du dies diese dieser dieses da dann danach hier dort wo was wer warum wie sein seine ihre "
    "unser mein nicht kein ja nein ist war sind haben hat wird nach vor während obwohl weil doch auch "
    "heute morgen gestern später jetzt bitte alle viele man bei seit trotzdem deshalb niemand",
    has_ordinals=True,
)
_SPANISH = _words(
    "sr sra srta sres dr dra d dña prof profa lic ing arq gral cap sto sta p.ej ej ud uds vd vds av avda "
    "aprox vs cf mons fr",
    "etc cía s.a ee.uu ee uu a.m p.m a.c d.c jr ltda",
    "núm n.º pág págs art cap vol fig tel no",
    "el la los las un una unos y pero o así si en de del al a para por con como es él ella nosotros ellos "
    "ellas yo tú usted esto esta este estos ese esa allí aquí entonces cuando donde qué quién cómo su sus "
    "mi no sí era fue son hay ha he luego después antes mientras aunque porque sin hoy mañana ayer ahora "
    "todos nadie también tal lo le se me más",
)
_FRENCH = _words(
    "m mm mme mmes mlle mlles dr pr prof me mgr st ste p.ex ex cf env c.-à-d av bd vs gén cap",
    "etc cie s.a j.-c apr. janv févr juil sept oct nov déc",
    "no n° p pp vol fig art chap tél",
    "le la les l un une des et mais ou donc si dans en sur au aux à de du pour par avec comme ce c il elle "
    "nous ils elles je j tu vous on cette ces cet là ici alors quand où que qu qui quoi comment pourquoi "
    "son sa ses leur mon ma non oui était est sont puis après avant pendant bien parce sans "
    "aujourd demain hier maintenant tous personne enfin ensuite cela ça ne n",
)
_ITALIAN = _words(
    "sig sig.ra sigg dott dott.ssa prof prof.ssa avv ing arch geom rag on sen gen col cap mons es p.es ca "
    "cfr vs s ss egr spett",
    "ecc etc s.p.a s.r.l a.c d.c gen. febb sett ott nov dic",
    "n nn pag pagg p art cap vol fig tel num",
    "il lo la i gli le l un uno una e ed ma o se in nel nella su al alla a di del da per con come è lui lei "
    "noi loro io tu voi questo questa questi quello quella là qui allora quando dove che chi perché suo sua "
    "mio mia non sì era fu sono ha poi dopo prima mentre anche senza oggi domani ieri ora tutti nessuno "
    "così ci si mi infine",
)
_POLISH = _words(
    "p pp dr prof mgr inż hab lek ks św o gen płk kpt por np m.in tzn tj tzw ok ul al pl os im red zob por "
    "ppłk abp bp doc",
    "itd itp r w godz n.e p.n.e m.in. sp s.a tys mln mld zł gr",
    "nr s str t rozdz rys ryc art tel pkt ust",
    "a i ale lub więc jeśli w we na do z ze od dla po przez jak to on ona my oni one ja ty wy ten ta te "
    "tamten tam tu wtedy kiedy gdy gdzie co kto dlaczego jego jej ich mój moja nie tak był była było są "
    "jest potem później przed podczas choć bo bez dziś dzisiaj jutro wczoraj teraz wszyscy nikt też "
    "następnie jednak się",
    has_ordinals=True,
)
_PORTUGUESE = _words(
    "sr sra srta srs dr dra drs d prof profa eng arq gen cel cap sto sta p.ex ex v.ex.ª exmo av vs aprox "
    "cf pe",
    "etc cia s.a ltda a.c d.c e.u.a jan fev mar abr mai jun jul ago set out nov dez",
    "n nº núm séc p pág págs art cap vol fig tel",
    "o a os as um uma e mas ou se em no na nos nas de do da para por com como é ele ela nós eles elas eu tu "
    "você isto isso este esta esse essa aquele lá aqui então quando onde que quem por seu sua meu minha "
    "não sim era foi são há tem depois antes enquanto embora porque sem hoje amanhã ontem agora todos "
    "ninguém também assim ao à mais me",
)
_RUSSIAN = _words(
    "г-н г-жа тов проф акад доц др. т.е т.к т.н напр см ср им ул пр просп пл пер д корп кв обл р-н св "
    "ген полк инж гр",
    "т.д т.п др пр. г гг в вв руб коп тыс млн млрд н.э н. мин сек час",
    "№ стр с рис гл табл п ст тел",
    "и а но или если в во на к ко с со из от для по за как это он она оно мы они я ты вы этот эта эти тот "
    "там тут здесь тогда когда где что кто почему его её их мой моя не нет да был была было были есть "
    "потом затем после до перед пока хотя потому без сегодня завтра вчера теперь сейчас все никто "
    "также однако у под над при так вот",
)
_TURKISH = _words(
    "dr prof doç yrd av sn bay bn öğr uzm arş gör alb gen yzb bkz örn mah cad sok sk blv apt tel hz st",
    "vb vs vd m.ö m.s a.ş ltd şti t.c yy dk sn. km",
    "no s sf cilt c böl şek md",
    "bir bu şu o ve ama fakat veya ya eğer ben sen biz siz onlar bunlar burada orada sonra önce şimdi "
    "bugün yarın dün ne kim nerede neden nasıl niçin çünkü hayır evet var yok değil için gibi kadar daha "
    "her hiç bütün herkes kimse de da ile ancak yine belki artık böyle öyle",
    has_ordinals=True,
)
_HINDI = _words(
    "डॉ श्री श्रीमती प्रो कु पं मो मि इं एड स्व चौ सरदार उदा",
    "आदि रु कि.मी ई ई.पू लि कं",
    "सं पृ क्र नं",
    "यह वह ये वे मैं हम तुम आप और लेकिन पर फिर तब जब अगर क्या कौन कहाँ क्यों कैसे",
)
# Full stops after Latin words in these texts are English ones; their own marks need no words.
_JAPANESE = _ENGLISH
_KOREAN = _ENGLISH
_CHINESE = _ENGLISH

SENTENCE_WORDS: Mapping[str, SentenceWords] = MappingProxyType(
    {
        "en": _ENGLISH,
        "de": _GERMAN,
        "es": _SPANISH,
        "fr": _FRENCH,
        "hi": _HINDI,
        "it": _ITALIAN,
        "ja": _JAPANESE,
        "ko": _KOREAN,
        "pl": _POLISH,
        "pt": _PORTUGUESE,
        "ru": _RUSSIAN,
        "tr": _TURKISH,
        "zh": _CHINESE,
    }
)
"""Words by language code."""

LANGUAGES = tuple(SENTENCE_WORDS)
"""Codes of the languages the splitter knows."""
