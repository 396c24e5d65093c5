#include "policies/guards/lexicon.hpp"

#include "policies/guards/words.hpp"

#include <array>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace souffleur::guards {

namespace {

/// From each word of a line to the line's name: lines are "name: word word word". The texts live for ever.
template <class Make>
auto table_of(std::string_view lines, Make make) {
  std::unordered_map<std::string_view, decltype(make(std::string_view{}))> table;
  std::string_view name;
  while (!lines.empty()) {
    const auto begin = lines.find_first_not_of(" \n");
    if (begin == std::string_view::npos)
      break;
    lines.remove_prefix(begin);
    const auto size = std::min(lines.find_first_of(" \n"), lines.size());
    const auto word = lines.substr(0, size);
    lines.remove_prefix(size);
    if (word.ends_with(':'))
      name = word.substr(0, size - 1);
    else
      table.emplace(word, make(name));
  }
  return table;
}

template <class Table>
auto found_in(const Table& table, std::string_view word) -> std::optional<typename Table::mapped_type> {
  const auto found = table.find(word);
  return found == table.end() ? std::nullopt : std::optional{found->second};
}

constexpr std::string_view units = R"(
km: km kms kilometer kilometers kilometre kilometres   meter: meter meters metre metres
cm: cm centimeter centimeters centimetre centimetres   mm: mm millimeter millimeters millimetre millimetres
mile: mile miles   ft: ft feet foot   inch: inch inches   yard: yard yards
kg: kg kgs kilogram kilograms kilo kilos   gram: gram grams   mg: mg milligram milligrams
pound: lb lbs pound pounds   oz: oz ounce ounces   ton: ton tons tonne tonnes
liter: liter liters litre litres   ml: ml milliliter milliliters millilitre millilitres
gallon: gallon gallons   cup: cup cups   pint: pint pints
ms: ms millisecond milliseconds   second: seconds sec secs   minute: minute minutes mins
hour: hour hours hr hrs   day: day days   week: week weeks   month: month months   year: year years yrs
kb: kb kilobyte kilobytes   mb: mb megabyte megabytes   gb: gb gigabyte gigabytes   tb: tb terabyte terabytes
mbps: mbps   gbps: gbps   celsius: celsius   fahrenheit: fahrenheit   mph: mph   kmh: kmh kmph kph
usd: usd dollar dollars $   eur: eur euro euros €   gbp: gbp £ quid   inr: inr rs rupee rupees
yen: yen jpy ¥   yuan: yuan cny rmb   franc: franc francs chf   percent: % percent
volt: volt volts   watt: watt watts kw kilowatt kilowatts   acre: acre acres   hectare: hectare hectares
)";

constexpr std::string_view short_units = R"(
meter: m   gram: g   liter: l   second: s second   minute: min   hour: h   celsius: c   fahrenheit: f
volt: v   watt: w   mile: mi   inch: in   thousand: k   day: d   am: am   pm: pm   bc: bc bce   ad: ad ce
)";

constexpr std::string_view dates = R"(
january: january jan   february: february feb   april: april apr   june: june jun   july: july jul
august: august aug   september: september sept sep   october: october oct   november: november nov
december: december dec   monday: monday mondays   tuesday: tuesday tuesdays   wednesday: wednesday wednesdays
thursday: thursday thursdays   friday: friday fridays   saturday: saturday saturdays
sunday: sunday sundays
today: today   yesterday: yesterday   tomorrow: tomorrow   tonight: tonight
decade: decade decades   century: century centuries
)";
constexpr std::string_view capital_dates = "march: march mar   may: may";
constexpr std::string_view weak_dates = R"(
spring: spring   summer: summer   autumn: autumn fall   winter: winter   morning: morning   noon: noon midday   afternoon: afternoon   evening: evening
night: night nights   midnight: midnight
)";

constexpr std::string_view strong_quantifiers = R"(
all: all every each everyone everybody everything   always: always   only: only solely exclusively
both: both   either: either   half: half   whole: whole entire   none: none   last: last final
next: next   previous: previous preceding   minimum: minimum min least lowest   maximum: maximum max highest
exactly: exactly precisely   double: double doubled twice   triple: triple tripled thrice
)";
constexpr std::string_view weak_quantifiers = R"(
some: some certain   any: any anyone anybody   most: most   many: many lots plenty   few: few
several: several   often: often frequently   sometimes: sometimes occasionally   rarely: rarely seldom
usually: usually normally typically generally   one: one   about: approximately roughly about around
first: first
)";

/// Countries with their adjectives and languages, then cities and states, then what people ask about.
constexpr std::string_view names = R"(
usa: usa america american americans us   uk: uk britain british   england: england english   scotland: scotland
ireland: ireland irish   wales: wales welsh   france: france french   germany: germany german germans
austria: austria austrian   australia: australia australian australians   switzerland: switzerland swiss
italy: italy italian italians   spain: spain spanish   portugal: portugal portuguese   greece: greece greek
netherlands: netherlands dutch holland   belgium: belgium belgian   denmark: denmark danish
sweden: sweden swedish   norway: norway norwegian   finland: finland finnish   iceland: iceland icelandic
poland: poland   czech: czech   hungary: hungarian   romania: romania romanian   bulgaria: bulgaria bulgarian
russia: russia russian russians   ukraine: ukraine ukrainian   israel: israel israeli   egypt: egypt egyptian
iran: iran iranian   iraq: iraq iraqi   syria: syria syrian   arabia: arabia arab arabic saudi
india: india indian indians   pakistan: pakistan pakistani pakistanis   bangladesh: bangladesh bangladeshi
nepal: nepal nepali   afghanistan: afghanistan afghan   china: chinese   japan: japan japanese
korea: korea korean   vietnam: vietnam vietnamese   thailand: thailand thai   indonesia: indonesia indonesian
malaysia: malaysia malaysian   singapore: singapore   philippines: philippines filipino   taiwan: taiwan
canada: canada canadian canadians   mexico: mexico mexican   brazil: brazil brazilian
argentina: argentina argentinian   colombia: colombia   peru: peru peruvian   chile: chilean   cuba: cuba cuban
nigeria: nigeria nigerian   kenya: kenya kenyan   ghana: ghana   ethiopia: ethiopia   morocco: morocco
zealand: zealand   europe: europe european   africa: africa african   asia: asia asian
hindi: hindi   urdu: urdu   tamil: tamil   telugu: telugu   bengali: bengali   latin: latin   mandarin: mandarin
london: london   paris: paris   berlin: berlin   munich: munich   madrid: madrid   barcelona: barcelona
rome: rome roman   moscow: moscow   tokyo: tokyo   beijing: beijing   shanghai: shanghai   delhi: delhi
mumbai: mumbai bombay   chennai: chennai   bangalore: bangalore bengaluru   hyderabad: hyderabad pune: pune
kolkata: kolkata   dubai: dubai   sydney: sydney   melbourne: melbourne   toronto: toronto
york: york nyc   chicago: chicago   boston: boston   seattle: seattle   houston: houston   dallas: dallas
texas: texas   california: california   florida: florida   utah: utah   ohio: ohio   alaska: alaska
google: google   facebook: facebook   twitter: twitter   instagram: instagram   whatsapp: whatsapp
youtube: youtube   gmail: gmail   yahoo: yahoo   quora: quora   reddit: reddit   linkedin: linkedin
snapchat: snapchat   tinder: tinder   netflix: netflix   spotify: spotify   paypal: paypal   microsoft: microsoft
samsung: samsung   sony: sony   nokia: nokia   toyota: toyota   honda: honda   bmw: bmw   tesla: tesla
iphone: iphone iphones   ipad: ipad   android: android   ios: ios   linux: linux   ubuntu: ubuntu   fedora: fedora
debian: debian   macos: macos   mysql: mysql   postgres: postgres postgresql   mongodb: mongodb   redis: redis
javascript: javascript   typescript: typescript   kotlin: kotlin   scala: scala   haskell: haskell   php: php
hadoop: hadoop   tensorflow: tensorflow   pytorch: pytorch   django: django   nodejs: nodejs   docker: docker
obama: obama   trump: trump   clinton: clinton   modi: modi   putin: putin   hitler: hitler   einstein: einstein
ibuprofen: ibuprofen   paracetamol: paracetamol   aspirin: aspirin   bitcoin: bitcoin bitcoins
ethereum: ethereum   harvard: harvard   stanford: stanford   mit: mit   yale: yale   iit: iit   nit: nit
gre: gre   gmat: gmat   sat: sat   toefl: toefl   ielts: ielts   upsc: upsc   cgl: cgl   ssc: ssc   gate: gate
islam: islam muslim muslims   christianity: christianity christian christians   hinduism: hinduism hindu hindus
buddhism: buddhism buddhist   judaism: judaism jewish jews   pdf: pdf   excel: excel
json: json   xml: xml   csv: csv   html: html   css: css   xbox: xbox   playstation: playstation
mars: mars   venus: venus   jupiter: jupiter   pluto: pluto
)";
constexpr std::string_view capital_names = R"(
turkey: turkey turkish   china: china   poland: polish   hungary: hungary   chile: chile   jordan: jordan
georgia: georgia   apple: apple   amazon: amazon   oracle: oracle   ford: ford   java: java   python: python
rust: rust   swift: swift   go: go   ruby: ruby   windows: windows   mac: mac   mercury: mercury   us: us
washington: washington   orange: orange   shell: shell   visa: visa   word: word
)";

/// One pair a line: all words of the left side, a bar, all words of the right side.
constexpr std::string_view opposites = R"(
hot warm|cold cool
high|low
tall|short
long|short brief
large big great huge|small little tiny
more|less fewer
most|least
better|worse
best|worst
good|bad evil
fast quick rapid|slow
old|new
old elderly|young
early|late
easy simple|hard difficult
hard|soft
strong|weak
heavy|light
light bright|dark
rich wealthy|poor
cheap inexpensive|expensive costly
safe|dangerous unsafe risky
clean|dirty
wet|dry
full|empty
thick|thin
fat|thin skinny slim
wide broad|narrow
deep|shallow
happy|sad unhappy
loud|quiet silent
rough|smooth
sharp|blunt dull
right|left
right correct|wrong incorrect
true|false
positive|negative
possible|impossible
before prior|after
above over|below under beneath
up upward|down downward
in inside into|out outside
on|off
front|back rear
top|bottom
upper|lower
north northern|south southern
east eastern|west western
near close|far distant
open|close shut closed
start begin|stop end finish quit
start begin beginning|end ending
increase raise boost grow|decrease reduce lower shrink cut
rise rose|fall fell fallen drop decline
gain|lose lost
win won|lose lost
buy bought purchase|sell sold
lend|borrow
give given gave|take taken took
give given gave|receive
send sent|receive
push|pull
import|export
upload|download
enable activate|disable deactivate
allow permit|forbid prohibit ban deny
accept approve|reject refuse decline deny
agree|disagree
include including|exclude excluding except
add|remove subtract delete
create make build|destroy
insert|delete
install|uninstall
login|logout
encrypt|decrypt
encode|decode
compress|decompress
connect|disconnect
lock|unlock
attack|defend
love like|hate dislike
succeed success|fail failure
pass|fail
live life alive|die death dead
birth born|death die died dead
remember|forget forgot forgotten
hire|fire
arrive|leave left depart
enter|exit leave
ask|answer
question|answer
teach taught|learn learnt
ascending|descending
advantage pro benefit upside|disadvantage con drawback downside risk
strength|weakness
profit|loss
supply|demand
income revenue|expense cost
cause|effect
cause reason|consequence
input|output
read|write
public|private
legal lawful|illegal
male man boy guy|female woman girl lady
men boys guys|women girls ladies
husband|wife
father dad|mother mom mum
son|daughter
brother|sister
uncle|aunt
king|queen
boyfriend|girlfriend
employer|employee
landlord|tenant
seller|buyer
parent|child kid
present|absent
present|past
past|future
ancient|modern
old|modern
domestic|foreign
urban|rural
internal|external
local|remote
local|global
minimum min|maximum max
minimize|maximize
introvert|extrovert
optimist|pessimist
liberal|conservative
democrat|republican
theist|atheist
left|right
odd|even
single|married
single|double
temporary|permanent
summer|winter
day|night
sunrise|sunset
morning|evening
forward|backward
horizontal|vertical
major|minor
senior|junior
professional|amateur
real|fake
natural|artificial
raw|cooked
boil|freeze
melt|freeze
inhale|exhale
sink|float
victory|defeat
war|peace
friend|enemy
buy|rent
lease|buy
indoor|outdoor
thesis|antithesis
unlikely|likely
asset|liability
debit|credit
vegetarian vegan|nonvegetarian
online|offline
hardware|software
client|server
positive|negative
proof|disproof
prove|disprove
appear|disappear
trust|distrust
mount|unmount
wrap|unwrap
freeze|unfreeze
follow|unfollow
similar alike|different differ
similarity|difference
subscribe|unsubscribe
block|unblock
)";

/// One kind a line: what is of one kind is not another of it.
constexpr std::string_view kinds = R"(
colour: red blue green yellow orange purple pink brown black white grey gray
branch: mechanical electrical civil chemical aerospace biomedical electronic
animal: dog cat horse cow pig sheep goat rabbit hamster parrot snake lion tiger elephant bear wolf fox
meat: beef pork chicken turkey lamb fish salmon tuna shrimp
relative: father mother brother sister uncle aunt cousin grandfather grandmother nephew niece
partner: husband wife boyfriend girlfriend fiance
meal: breakfast lunch dinner supper
drink: coffee tea beer wine vodka whiskey milk juice
subject: physics chemistry biology mathematics math history geography economics psychology philosophy
school: kindergarten highschool college bachelor master phd mba
sport: football soccer cricket tennis basketball baseball hockey badminton volleyball golf
metal: gold silver copper iron steel aluminium aluminum platinum titanium
vehicle: car bike bicycle motorcycle truck bus train plane airplane ship
instrument: guitar piano violin drum flute saxophone
organ: heart lung liver kidney brain stomach skin eye ear
limb: arm leg hand foot finger toe knee elbow shoulder
illness: cancer diabetes asthma flu malaria hepatitis arthritis depression anxiety
profession: doctor lawyer nurse teacher engineer accountant plumber electrician pilot dentist
material: wood plastic glass paper cotton leather
fruit: apple banana mango grape strawberry pineapple
organisation: army navy airforce police
religion: muslim christian hindu buddhist jew sikh
)";

struct sides {
  std::vector<std::size_t> left;
  std::vector<std::size_t> right;
};

struct opposite_table {
  std::unordered_map<std::string, sides> by_form;
  std::vector<std::pair<std::string_view, std::string_view>> shown;
};

opposite_table read_opposites() {
  opposite_table table;
  bool is_right = false;
  for (auto rest = opposites.substr(1); !rest.empty();) {
    const auto size = rest.find_first_of(" |\n");
    const auto word = rest.substr(0, size);
    if (!is_right && (table.shown.empty() || !table.shown.back().second.empty()))
      table.shown.emplace_back(word, "");
    auto& pair = table.shown.back();
    if (is_right && pair.second.empty())
      pair.second = word;
    auto& noted = table.by_form[stem_of(word)];
    (is_right ? noted.right : noted.left).push_back(table.shown.size() - 1);
    if (rest[size] != ' ')
      is_right = rest[size] == '|';
    rest.remove_prefix(size + 1);
  }
  return table;
}

const opposite_table& opposite_words() {
  static const auto table = read_opposites();
  return table;
}

/// The word and, of a comparative or superlative, what it may be made of.
std::vector<std::string> forms_of(std::string_view word) {
  std::vector<std::string> forms = {stem_of(word)};
  for (const std::string_view ending : {"er", "est", "r", "st"}) {
    if (word.size() < ending.size() + 3 || !word.ends_with(ending))
      continue;
    std::string base{word.substr(0, word.size() - ending.size())};
    forms.push_back(stem_of(base));
    if (base.ends_with('i'))
      forms.push_back(base.substr(0, base.size() - 1) + 'y');
    if (base.size() > 2 && base.back() == base[base.size() - 2])
      forms.push_back(base.substr(0, base.size() - 1));
  }
  return forms;
}

} // namespace

bool is_negator(std::string_view word) {
  static const std::unordered_set<std::string_view> all = {
      "not",     "no",      "never",  "without", "neither", "nor",  "none",    "nobody", "nothing",
      "nowhere", "unless",  "except", "hardly",  "barely",  "fail", "failed",  "fails",  "lack",
      "lacks",   "lacking", "avoid",  "avoided", "stopped", "isn",  "refused", "non"};
  return all.contains(word);
}

std::optional<double> value_of(std::string_view word) {
  static const std::unordered_map<std::string_view, double> all = {
      {"zero", 0},     {"two", 2},        {"three", 3},     {"four", 4},      {"five", 5},
      {"six", 6},      {"seven", 7},      {"eight", 8},     {"nine", 9},      {"ten", 10},
      {"eleven", 11},  {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14}, {"fifteen", 15},
      {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19}, {"twenty", 20},
      {"thirty", 30},  {"forty", 40},     {"fifty", 50},    {"sixty", 60},    {"seventy", 70},
      {"eighty", 80},  {"ninety", 90},    {"first", 1},     {"second", 2},    {"third", 3},
      {"fourth", 4},   {"fifth", 5},      {"sixth", 6},     {"seventh", 7},   {"eighth", 8},
      {"ninth", 9},    {"tenth", 10},     {"dozen", 12},    {"twelfth", 12}};
  return found_in(all, word);
}

std::optional<double> multiplier_of(std::string_view word) {
  static const std::unordered_map<std::string_view, double> all = {
      {"hundred", 1e2}, {"thousand", 1e3}, {"k", 1e3},      {"lakh", 1e5},    {"lakhs", 1e5},
      {"million", 1e6}, {"crore", 1e7},    {"crores", 1e7}, {"billion", 1e9}, {"trillion", 1e12}};
  return found_in(all, word);
}

std::optional<double> roman_value_of(std::string_view upper_case_word) {
  static const std::unordered_map<std::string_view, double> all = {
      {"II", 2}, {"III", 3}, {"IV", 4},   {"VI", 6},    {"VII", 7},  {"VIII", 8},
      {"IX", 9}, {"XI", 11}, {"XII", 12}, {"XIII", 13}, {"XIV", 14}, {"XVI", 16}};
  return found_in(all, upper_case_word);
}

std::optional<unit> unit_of(std::string_view word) {
  static const auto known = table_of(units, [](std::string_view name) { return unit{name, false}; });
  static const auto brief = table_of(short_units, [](std::string_view name) { return unit{name, true}; });
  const auto found = found_in(known, word);
  return found ? found : found_in(brief, word);
}

std::optional<date_mark> date_mark_of(std::string_view word) {
  static const auto known = table_of(dates, [](std::string_view name) {
    return date_mark{name, false, false};
  });
  static const auto capital = table_of(capital_dates, [](std::string_view name) {
    return date_mark{name, true, false};
  });
  static const auto weak = table_of(weak_dates, [](std::string_view name) {
    return date_mark{name, false, true};
  });
  for (const auto* table : {&known, &capital, &weak})
    if (const auto found = found_in(*table, word))
      return found;
  return std::nullopt;
}

std::optional<quantifier> quantifier_of(std::string_view word) {
  static const auto strong = table_of(strong_quantifiers, [](std::string_view name) {
    return quantifier{name, true};
  });
  static const auto weak = table_of(weak_quantifiers, [](std::string_view name) {
    return quantifier{name, false};
  });
  const auto found = found_in(strong, word);
  return found ? found : found_in(weak, word);
}

std::optional<known_name> known_name_of(std::string_view word) {
  static const auto always = table_of(names, [](std::string_view name) { return known_name{name, false}; });
  static const auto capital = table_of(capital_names, [](std::string_view name) {
    return known_name{name, true};
  });
  const auto found = found_in(capital, word);
  return found ? found : found_in(always, word);
}

void note_opposites(std::string_view word, opposites_in_text& in) {
  const auto& table = opposite_words().by_form;
  for (const auto& form : forms_of(word)) {
    const auto found = table.find(form);
    if (found == table.end())
      continue;
    for (const auto i : found->second.left)
      in.left.set(i);
    for (const auto i : found->second.right)
      in.right.set(i);
  }
}

std::string opposed(const opposites_in_text& a, const opposites_in_text& b) {
  const auto both_a = a.left & a.right;
  const auto both_b = b.left & b.right;
  const auto one_a = a.left ^ a.right;
  const auto one_b = b.left ^ b.right;
  const auto parting = (one_a & one_b & (a.left ^ b.left)) | (both_a & one_b) | (both_b & one_a);
  if (parting.none())
    return {};
  const auto& [left, right] = opposite_words().shown[parting._Find_first()];
  return std::string{left} + "/" + std::string{right};
}

std::string_view kind_of(std::string_view stem) {
  static const auto table = [] {
    std::unordered_map<std::string, std::string_view> stems;
    for (const auto& [word, kind] : table_of(kinds, [](std::string_view name) { return name; }))
      stems.emplace(stem_of(word), kind);
    return stems;
  }();
  const auto found = table.find(std::string{stem});
  return found == table.end() ? std::string_view{} : found->second;
}

std::span<const std::string_view> opposing_prefixes() {
  static constexpr std::array<std::string_view, 10> all = {"un",  "in", "im",  "il",  "ir",
                                                           "dis", "de", "mis", "non", "anti"};
  return all;
}

bool gives_a_role(std::string_view word) {
  static const std::unordered_set<std::string_view> all = {
      "from",  "to",     "into",  "than", "before", "after", "by",    "for",     "against", "over",
      "under", "in",     "on",    "with", "of",     "as",    "if",    "because", "without", "through",
      "at",    "versus", "about", "when", "while",  "until", "since", "between", "during"};
  return all.contains(word);
}

} // namespace souffleur::guards
