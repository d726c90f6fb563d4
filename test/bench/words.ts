/** Text as people write it: random letters would not compress, and one sentence repeated would vanish. */
export const WORDS =
  'the of and to a in that it was for on with as his they be at one have this from or had by hot word but what some we can out other were all there when up use your how said an each she which do their time if will way about many then them write would like so these her long make thing see him two has look more day could go come did number sound no most people my over know water than call first who may down side been now find any new work part take get place made live where after back little only round man year came show every good me give our under name very through just form sentence great think say help low line differ turn cause much mean before move right boy old too same tell does set three want air well also play small end put home read hand port large spell add even land here must big high such follow act why ask men change went light kind off need house picture try us again animal point mother world near build self earth father order delivery parcel invoice refund payment broken missing late gift colour size blue green red black white shirt shoes lamp table chair bottle battery cable phone charger garden kitchen window winter summer';

export const FIRST_NAMES =
  'Anna Ben Clara David Elif Farid Greta Hugo Ines Jonas Katja Liam Mira Noah Olga Paul Quentin Rosa Samir Tilda Umar Vera Wanda Xaver Yara Zoe';
export const LAST_NAMES =
  'Abel Becker Costa Dietrich Evans Fischer Garcia Haddad Ivanov Jansen Keller Lopez Meyer Novak Okafor Petrov Quinn Rossi Schmidt Tanaka Ulrich Vogel Weber Xu Yilmaz Zimmermann';
export const CITIES =
  'Berlin Lyon Porto Krakow Wien Gent Oslo Turku Graz Basel Malmo Cork Leeds Split Brno Riga';
export const STATUSES = 'paid shipped delivered returned cancelled';
export const KINDS = 'page_view search add_to_cart remove_from_cart checkout login logout review';
