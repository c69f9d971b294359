/**
 * The notes in the user's language: that of `LANGUAGE`, `LC_ALL`, `LC_MESSAGES` or `LANG`, most exact first
 * (`fr_FR.UTF-8`, `fr_FR`, `fr`), else the untranslated ones.
 *
 * @returns undefined when there are no notes that fit
 */
export function chooseNotes(
  notes: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  const language = [...languagesOf(env), ''].find((name) => Object.hasOwn(notes, name));
  return language === undefined ? undefined : notes[language];
}

function languagesOf(env: Readonly<Record<string, string | undefined>>): string[] {
  const locale = [env['LC_ALL'], env['LC_MESSAGES'], env['LANG']].find(Boolean) ?? '';
  // GNU gettext: LANGUAGE counts only when a locale other than C is set.
  if (/^(?:C|POSIX)?(?:\.|$)/.test(locale)) return [];
  const wanted = [...(env['LANGUAGE'] ?? '').split(':'), locale].filter((name) => name !== '');
  return wanted.flatMap((name) => {
    const territory = name.replace(/[.@].*$/, '');
    return [name, territory, territory.replace(/_.*$/, '')];
  });
}
