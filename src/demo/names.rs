//! Name and street lists.

use super::places::Country;

/// Given names of people born before 1960, until 1990, and since.
pub(super) fn given_names(country: Country, female: bool, birth_year: i32) -> &'static [&'static str] {
    let cohort = match birth_year {
        ..1960 => 0,
        1960..1990 => 1,
        _ => 2,
    };
    let names = match (country, female) {
        (Country::England, true) => &ENGLISH_WOMEN,
        (Country::England, false) => &ENGLISH_MEN,
        (Country::UnitedStates, true) => &AMERICAN_WOMEN,
        (Country::UnitedStates, false) => &AMERICAN_MEN,
    };
    names[cohort]
}

/// Family names, the frequent ones several times.
pub(super) fn family_names(country: Country) -> &'static [&'static str] {
    match country {
        Country::England => ENGLISH_FAMILIES,
        Country::UnitedStates => AMERICAN_FAMILIES,
    }
}

/// Street names.
pub(super) fn streets(country: Country) -> &'static [&'static str] {
    match country {
        Country::England => ENGLISH_STREETS,
        Country::UnitedStates => AMERICAN_STREETS,
    }
}

/// What practices are called after.
#[rustfmt::skip]
pub(super) fn landmarks(country: Country) -> &'static [&'static str] {
    match country {
        Country::England => &[
            "Abbey", "Bridge", "Beech", "Castle", "Church", "Elm", "Field", "Grange", "Grove", "Hawthorn",
            "Heath", "Hill", "Ivy", "Kings", "Laurel", "Manor", "Market", "Meadow", "Mill", "Minster",
            "Moor", "Oak", "Orchard", "Park", "Priory", "Queens", "River", "Rowan", "Spring", "Station",
            "Sycamore", "Tower", "Vale", "Well", "Willow", "Wood", "Quay", "Holly", "Fountain", "Harbour",
        ],
        Country::UnitedStates => &[
            "Aspen", "Bayview", "Birch", "Capitol", "Cedar", "Clearwater", "Cottonwood", "Crestview",
            "Eastside", "Evergreen", "Fairview", "Garfield", "Harborside", "Heartland", "Heritage",
            "Hickory", "Highland", "Juniper", "Kinnick", "Lakeshore", "Lincoln", "Madison Street",
            "Maple", "Meridian", "Northside", "Oakwood", "Parkview", "Pine", "Prairie", "Ridgeway",
            "Riverside", "Shoreline", "Silver Lake", "Southport", "Summit", "Sunrise", "Union", "Valley",
            "Westgate", "Woodland",
        ],
    }
}

/// What follows the landmark in a practice's name.
pub(super) fn practice_kinds(country: Country) -> &'static [&'static str] {
    match country {
        Country::England => &["Surgery", "Medical Centre", "Health Centre", "Group Practice"],
        Country::UnitedStates => &["Family Medicine", "Medical Group", "Health Center", "Clinic"],
    }
}

#[rustfmt::skip]
const ENGLISH_WOMEN: [&[&str]; 3] = [
    &[
        "Margaret", "Jean", "Dorothy", "Joan", "Patricia", "Maureen", "Sheila", "Barbara", "Brenda",
        "Pauline", "Christine", "Sandra", "Linda", "Susan", "Carol", "Ann", "Janet", "Valerie", "Eileen",
        "Beryl", "Hilda", "Marjorie", "Surinder", "Farida",
    ],
    &[
        "Karen", "Tracey", "Julie", "Deborah", "Jacqueline", "Alison", "Sharon", "Helen", "Nicola",
        "Sarah", "Claire", "Joanne", "Emma", "Rachel", "Louise", "Samantha", "Katie", "Gemma", "Laura",
        "Priya", "Nasreen", "Agnieszka", "Folake", "Mei",
    ],
    &[
        "Jessica", "Chloe", "Olivia", "Amelia", "Emily", "Sophie", "Isla", "Ava", "Mia", "Ella", "Lily",
        "Grace", "Freya", "Evie", "Poppy", "Charlotte", "Aisha", "Zara", "Maryam", "Anya", "Niamh",
        "Zofia", "Adaeze", "Ruby",
    ],
];

#[rustfmt::skip]
const ENGLISH_MEN: [&[&str]; 3] = [
    &[
        "John", "Peter", "Derek", "Brian", "Keith", "Roy", "Kenneth", "Ronald", "Raymond", "Alan",
        "Dennis", "Malcolm", "Terence", "Geoffrey", "Trevor", "Graham", "Michael", "David", "Barry",
        "Stanley", "Harold", "Ernest", "Mohinder", "Abdul",
    ],
    &[
        "Paul", "Mark", "Andrew", "Stephen", "Gary", "Kevin", "Ian", "Neil", "Darren", "Lee", "Matthew",
        "James", "Christopher", "Simon", "Craig", "Richard", "Daniel", "Stuart", "Imran", "Rajesh",
        "Piotr", "Kwame", "Wei", "Tariq",
    ],
    &[
        "Jack", "Oliver", "Harry", "George", "Noah", "Thomas", "Jacob", "Alfie", "Leo", "Oscar", "Archie",
        "Freddie", "Joshua", "Ethan", "Logan", "Muhammad", "Adam", "Ibrahim", "Arjun", "Finley", "Callum",
        "Kacper", "Tobi", "Theo",
    ],
];

#[rustfmt::skip]
const AMERICAN_WOMEN: [&[&str]; 3] = [
    &[
        "Mary", "Betty", "Barbara", "Shirley", "Carol", "Judith", "Nancy", "Joyce", "Beverly", "Donna",
        "Sharon", "Gloria", "Phyllis", "Marilyn", "Lois", "Arlene", "Rosa", "Ruth", "Virginia", "Delores",
        "Evelyn", "Norma", "Bernice", "Guadalupe",
    ],
    &[
        "Lisa", "Jennifer", "Michelle", "Kimberly", "Amy", "Angela", "Melissa", "Stephanie", "Heather",
        "Nicole", "Tonya", "Latoya", "Jessica", "Amanda", "Crystal", "Maria", "Erin", "Dawn", "Tamika",
        "Kristen", "Mai", "Carmen", "Shauna", "Denise",
    ],
    &[
        "Emma", "Madison", "Abigail", "Hannah", "Ashley", "Alexis", "Taylor", "Brianna", "Savannah",
        "Harper", "Ava", "Sophia", "Isabella", "Camila", "Aaliyah", "Nevaeh", "Kayla", "Addison", "Layla",
        "Ximena", "Pa Nhia", "Riley", "Zoe", "Brooklyn",
    ],
];

#[rustfmt::skip]
const AMERICAN_MEN: [&[&str]; 3] = [
    &[
        "Robert", "James", "William", "Richard", "Charles", "Donald", "Ronald", "Gerald", "Larry",
        "Roger", "Eugene", "Wayne", "Harold", "Ralph", "Willie", "Clarence", "Leroy", "Norman", "Vernon",
        "Jose", "Melvin", "Floyd", "Duane", "Lyle",
    ],
    &[
        "Michael", "Jeffrey", "Scott", "Timothy", "Brian", "Todd", "Chad", "Eric", "Jason", "Kevin",
        "Marcus", "Tyrone", "Ryan", "Justin", "Brandon", "Juan", "Carlos", "Travis", "Derek", "Dwayne",
        "Tou", "Cory", "Shane", "Luis",
    ],
    &[
        "Jacob", "Tyler", "Austin", "Liam", "Mason", "Aiden", "Elijah", "Jayden", "Hunter", "Caleb",
        "Mateo", "Santiago", "Wyatt", "Owen", "Malik", "DeShawn", "Carter", "Dylan", "Isaiah", "Landon",
        "Xavier", "Diego", "Chue", "Grayson",
    ],
];

#[rustfmt::skip]
const ENGLISH_FAMILIES: &[&str] = &[
    "Smith", "Smith", "Smith", "Jones", "Jones", "Jones", "Taylor", "Taylor", "Brown", "Brown",
    "Williams", "Williams", "Wilson", "Johnson", "Davies", "Robinson", "Wright", "Thompson", "Evans",
    "Walker", "White", "Roberts", "Green", "Hall", "Wood", "Jackson", "Clarke", "Clarke", "Patel",
    "Patel", "Khan", "Khan", "Lewis", "James", "Phillips", "Mason", "Mitchell", "Rose", "Davis",
    "Rodgers", "Cooper", "Ward", "Turner", "Hill", "Moore", "Morris", "Harrison", "Watson", "Baker",
    "Hussain", "Hussain", "Ali", "Begum", "Singh", "Singh", "Kaur", "Kaur", "Ahmed", "Shah", "Scott",
    "Young", "King", "Allen", "Carter", "Parker", "Cook", "Bennett", "Shaw", "Gray", "Bailey", "Hughes",
    "Marshall", "Ellis", "Murphy", "O'Brien", "O'Neill", "Kelly", "Ashworth", "Sutcliffe", "Greenwood",
    "Holroyd", "Barraclough", "Hartley", "Thackray", "Oldfield", "Naylor", "Armitage", "Booth",
    "Crowther", "Dyson", "Ellison", "Firth", "Garside", "Haigh", "Illingworth", "Kowalski", "Nowak",
    "Adeyemi", "Okafor", "Mensah", "Chen", "Wong", "Nguyen", "Rahman", "Chowdhury", "Iqbal", "Mahmood",
    "Sharma", "Gupta", "Pearce", "Penrose", "Trevithick", "Hawkins", "Webb", "Fox", "Knight", "Lloyd",
    "Barker", "Stone", "Gibson", "Palmer", "Holmes", "Chapman", "Fisher", "Butler", "Hunt", "Harvey",
    "Ford", "Day", "Marsh", "Hobbs", "Chubb", "Yeo", "Luscombe", "Vickery", "Coombes",
];

#[rustfmt::skip]
const AMERICAN_FAMILIES: &[&str] = &[
    "Smith", "Smith", "Johnson", "Johnson", "Johnson", "Williams", "Williams", "Brown", "Brown", "Jones",
    "Jones", "Garcia", "Garcia", "Miller", "Miller", "Davis", "Rodriguez", "Martinez", "Hernandez",
    "Lopez", "Gonzalez", "Wilson", "Anderson", "Anderson", "Anderson", "Thomas", "Taylor", "Moore",
    "Jackson", "Jackson", "Martin", "Lee", "Perez", "Thompson", "White", "Harris", "Sanchez", "Clark",
    "Ramirez", "Lewis", "Robinson", "Walker", "Young", "Allen", "King", "Wright", "Scott", "Torres",
    "Nguyen", "Hill", "Flores", "Green", "Adams", "Nelson", "Nelson", "Baker", "Hall", "Rivera",
    "Campbell", "Mitchell", "Carter", "Olson", "Olson", "Peterson", "Peterson", "Larson", "Hanson",
    "Schmidt", "Schultz", "Schneider", "Mueller", "Krueger", "Kowalski", "Nowak", "Novak", "Hoffman",
    "Meyer", "Wagner", "Becker", "Vang", "Xiong", "Yang", "Thao", "Lor", "Washington", "Jefferson",
    "Booker", "O'Connor", "Murphy", "Kelly", "Van Dyke", "DeVries", "Vander Zanden", "Dykstra",
    "Hoekstra", "LaPlante", "Patel", "Shah", "Khan", "Kim", "Park", "Chen", "Wang", "Cohen", "Levine",
    "Rossi", "Russo", "Santiago", "Morales", "Ortiz", "Cruz", "Reyes", "Gutierrez", "Gustafson",
    "Swanson", "Lindgren", "Bergstrom", "Haugen", "Dahl", "Solberg", "Fischer", "Weber", "Zimmerman",
    "Kaminski", "Wisniewski", "Zielinski", "Brooks", "Coleman", "Dixon", "Freeman",
];

#[rustfmt::skip]
const ENGLISH_STREETS: &[&str] = &[
    "High Street", "Station Road", "Church Lane", "Victoria Road", "Park Avenue", "Mill Lane",
    "Queen Street", "King Street", "Albert Road", "Green Lane", "Manor Road", "Chapel Street",
    "Windsor Drive", "Grange Road", "West Street", "North Parade", "Springfield Close", "Orchard Way",
    "The Crescent", "Beech Grove", "Oak Avenue", "Moorland View", "Harrogate Road", "Canal Street",
    "Priory Gardens", "Back Lane", "Cliffe Terrace", "St Mary's Road", "St John's Street",
    "Alexandra Terrace", "Meadow Rise", "Hawthorn Drive", "Bridge Street", "Westfield Road", "Wharf Lane",
    "Cathedral Close", "Broad Street", "Castle Hill", "Fern Bank", "Nelson Street",
];

#[rustfmt::skip]
const AMERICAN_STREETS: &[&str] = &[
    "Main St", "Oak St", "Maple Ave", "Washington Ave", "Lincoln St", "Park Ave", "Lake Shore Dr",
    "Elm St", "Wisconsin Ave", "State St", "Cedar Ln", "Pine St", "Jefferson St", "Madison Ave",
    "River Rd", "Highland Ave", "Prospect Ave", "Michigan St", "Capitol Dr", "Birch Ct",
    "Prairie View Rd", "Sunset Blvd", "Forest Dr", "Monroe St", "Jackson St", "Adams St", "Church St",
    "Spring St", "Mill Rd", "Greenfield Ave", "Kinnickinnic Ave", "Fond du Lac Ave", "Packer Dr",
    "University Ave", "Willow Bend", "Orchard Ln", "Country Rd", "Division St", "Huron St", "Superior St",
];
